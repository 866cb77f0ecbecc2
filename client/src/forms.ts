/** Forms of Ionic inputs, with each error beside its field. */
import { Problem } from './session';

/** Refusals about a form's first field. A 422 names its fields itself. */
const ABOUT_FIRST_FIELD = new Set(['email_taken', 'password_wrong']);

export class Form {
  readonly element: HTMLFormElement;
  readonly #inputs: Map<string, HTMLIonInputElement>;

  constructor(element: HTMLFormElement, onSubmit: () => Promise<void>) {
    this.element = element;
    const inputs = [...element.querySelectorAll('ion-input')];
    this.#inputs = new Map(inputs.map((input) => [String(input.name), input]));
    for (const input of inputs) input.addEventListener('ionInput', () => setFault(input, ''));
    let isBusy = false;
    element.addEventListener('submit', async (event) => {
      event.preventDefault();
      if (isBusy) return;
      isBusy = true;
      element.setAttribute('aria-busy', 'true');
      for (const input of inputs) setFault(input, '');
      await onSubmit();
      element.removeAttribute('aria-busy');
      isBusy = false;
    });
  }

  value(name: string): string {
    return String(this.#inputs.get(name)?.value ?? '');
  }

  clear(...names: string[]): void {
    for (const name of names) {
      const input = this.#inputs.get(name);
      if (!input) continue;
      input.value = '';
      setFault(input, '');
    }
  }

  /** Shows each error beside its field and focuses the first one. Returns the errors of no field. */
  async show(error: unknown): Promise<string> {
    if (!(error instanceof Problem)) return error instanceof Error ? error.message : String(error);
    const [firstName] = this.#inputs.keys();
    const faults = ABOUT_FIRST_FIELD.has(error.code)
      ? [{ pointer: `/${firstName}`, detail: error.message }]
      : error.faults;
    const rest: string[] = [];
    let first: HTMLIonInputElement | undefined;
    for (const { pointer, detail } of faults) {
      const input = this.#inputs.get(pointer.slice(1));
      if (!input) rest.push(detail);
      else setFault(input, input.classList.contains('ion-invalid') ? `${input.errorText} ${detail}` : detail);
      first ??= input;
    }
    await first?.setFocus();
    return faults.length === 0 ? error.message : rest.join(' ');
  }
}

function setFault(input: HTMLIonInputElement, detail: string): void {
  if (detail) input.errorText = detail;
  input.classList.toggle('ion-invalid', detail !== '');
  input.classList.toggle('ion-touched', detail !== '');
}
