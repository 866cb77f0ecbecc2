import { defineConfig } from 'vite';

// `npm run dev` serves the page and hands the API's paths to a service on its usual port.
const service = 'http://127.0.0.1:3000';

export default defineConfig({
  base: './',
  build: {
    outDir: '../authservice/static/client',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the Content-Security-Policy allows no data: URL
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/auth': service, '/users': service } },
});
