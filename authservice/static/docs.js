// Swagger UI from the package flask-swagger-ui, on our own description of the API; nothing comes from elsewhere.
SwaggerUIBundle({
  dom_id: '#api',
  url: new URL('openapi.json', location.href).href,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  // The browser's own user is never sent by accident: cookies go only to this service, with the header it asks for.
  requestInterceptor: (request) => {
    request.headers['X-Requested-With'] = 'swagger-ui';
    return request;
  },
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const followScheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followScheme);
followScheme();
