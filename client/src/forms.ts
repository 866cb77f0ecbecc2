/** Forms of Ionic inputs, with each error beside its field. */
import { Problem } from './session';

/** The field that a refusal is about, if the form has it. A 422 names its fields itself. */
const ABOUT: Record<string, readonly string[]> = {
  email_taken: ['email', 'newEmail'],
  password_wrong: ['currentPassword', 'password'],
  code_invalid: ['code'],
  second_factor_wrong: ['code', 'totp', 'recoveryCode'],
};

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

  set(name: string, value: string): void {
    const input = this.#inputs.get(name);
    if (input) input.value = value;
  }

  /** A hidden field is not part of the form. */
  hide(name: string, isHidden: boolean): void {
    const input = this.#inputs.get(name);
    if (input) input.hidden = isHidden;
  }

  async focus(): Promise<void> {
    await [...this.#inputs.values()][0]?.setFocus();
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
    const name = ABOUT[error.code]?.find((one) => this.#inputs.get(one)?.hidden === false);
    const faults = name === undefined ? error.faults : [{ pointer: `/${name}`, detail: error.message }];
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
