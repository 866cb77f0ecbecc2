"""session.ts and the recipes of docs/front-ends.md compile in the projects that they are for."""

import re

import pytest

from tests.browser.needs import CLIENT
from tests.service import ROOT

# what `ng new` writes with @schematics/angular 22, in its strict default
ANGULAR = {
    "compilerOptions": {
        "strict": True,
        "noImplicitOverride": True,
        "noPropertyAccessFromIndexSignature": True,
        "noImplicitReturns": True,
        "noFallthroughCasesInSwitch": True,
        "skipLibCheck": True,
        "isolatedModules": True,
        "experimentalDecorators": True,
        "importHelpers": True,
        "target": "ES2022",
        "module": "preserve",
        "types": [],
        "noEmit": True,
    },
    "include": ["src/**/*.ts"],
}
BLOCKS = re.findall(r"^```(tsx?)\n(.*?)^```", (ROOT / "docs/front-ends.md").read_text(), re.DOTALL | re.MULTILINE)
BASICS, PASSKEYS, CAPACITOR, ANGULAR_RECIPE, REACT_RECIPE = (code for _, code in BLOCKS)

TYPED_EVENTS = """
import { type Change, Session } from './session';
const session = new Session('http://localhost:3000');
session.addEventListener('change', ({ detail }) => { const change: Change = detail; console.log(change); });
// @ts-expect-error there is no such event
session.addEventListener('changed', () => undefined);
// @ts-expect-error and no such change
session.addEventListener('change', ({ detail }) => detail === 'signed-on');
const token: Promise<string | undefined> = session.accessToken();
const answer: Promise<Response> = session.fetch(new URL('https://api.example.com'), { method: 'PUT' });
console.log(token, answer);
"""


@pytest.fixture
def create_vite(workshop):
    """The tsconfig of a new project of create-vite."""

    def create_vite(template, name="tsconfig.json"):
        text = (workshop / "node_modules" / "create-vite" / f"template-{template}" / name).read_text()
        assert '"erasableSyntaxOnly": true' in text
        return text

    return create_vite


def test_session_ts_compiles_in_a_new_vite_project(compile_project, create_vite):
    files = {"typed-events.ts": TYPED_EVENTS, "basics.ts": BASICS}
    assert compile_project("vanilla", create_vite("vanilla-ts"), files) == ""


def test_passkeys_ts_and_its_recipe_compile(compile_project, create_vite):
    passkeys = (CLIENT / "src" / "passkeys.ts").read_text()
    files = {"passkeys.ts": passkeys, "signing-in.ts": PASSKEYS}
    assert compile_project("passkeys", create_vite("vanilla-ts"), files) == ""
    assert compile_project("passkeys-in-angular", ANGULAR, files) == ""


def test_the_react_recipe_compiles_in_a_new_vite_project(compile_project, create_vite):
    assert "useSyncExternalStore" in REACT_RECIPE
    tsconfig = create_vite("react-ts", "tsconfig.app.json")
    assert compile_project("react", tsconfig, {"useSession.tsx": REACT_RECIPE}) == ""


def test_the_angular_recipe_compiles_in_a_new_angular_project(compile_project):
    assert "HttpInterceptorFn" in ANGULAR_RECIPE
    assert "CanActivateFn" in ANGULAR_RECIPE
    files = {"app.config.ts": ANGULAR_RECIPE, "typed-events.ts": TYPED_EVENTS}
    assert compile_project("angular", ANGULAR, files) == ""


def test_the_recipe_for_capacitor_compiles(compile_project, create_vite):
    plugin = "declare const SecureStorage: Record<'get' | 'set' | 'remove', (...all: string[]) => Promise<unknown>>;\n"
    recipe = f"import {{ Session }} from './session';\n{plugin}{CAPACITOR}console.log(session);\n"
    assert compile_project("capacitor", create_vite("vanilla-ts"), {"capacitor.ts": recipe}) == ""


def test_a_fault_in_a_recipe_is_found(compile_project):
    broken = REACT_RECIPE.replace("session.user", "session.usr")
    tsconfig = {**ANGULAR, "compilerOptions": {**ANGULAR["compilerOptions"], "jsx": "react-jsx"}}
    tsconfig["include"] = ["src/*.tsx"]
    assert "TS2551" in compile_project("broken", tsconfig, {"useSession.tsx": broken})
