"""session.ts signs in by two steps and steps up, in Node.js against a real service."""

import base64
import json

import pytest

from tests.conftest import PASSWORD, SECRET
from tests.service import Service

PREAMBLE = """
    import { createHmac } from 'node:crypto';
    import { Problem, Session } from './session.js';
    const [base, email, password] = process.argv.slice(2);
    const make = () => {
        let kept = null;
        const keep = async (token = null) => { kept = token; };
        return new Session(base, { store: { read: async () => kept, write: keep, clear: keep } });
    };
    const [session, other] = [make(), make()];
    const sent = [];
    const real = fetch;
    globalThis.fetch = async (...all) => {
        const answer = await real(...all);
        sent.push(`${all[1]?.method ?? all[0].method} ${new URL(answer.url).pathname} ${answer.status}`);
        return answer;
    };
    const codeOf = (secret, later = 0) => {
        const values = [...secret].map((one) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(one));
        const bits = values.map((one) => one.toString(2).padStart(5, '0')).join('');
        const key = Buffer.from(bits.match(/.{8}/g).map((one) => parseInt(one, 2)));
        const step = Buffer.alloc(8);
        step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + later));
        const mac = createHmac('sha1', key).update(step).digest();
        const at = mac[19] & 15;
        return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
    };
    const out = {};
    await session.createAccount(email, password);
    out.before = await session.signIn(email, password);
    await other.signIn(email, password);
    const { secret } = await session.call('POST', '/users/me/totp');
    const codes = await session.turnOnTwoSteps(codeOf(secret));
"""


@pytest.fixture
def service(mongo_uri, tmp_path):
    service = Service(
        tmp_path / "service.log",
        {
            "FLASK_MONGO_URI": mongo_uri,
            "FLASK_JWT_SECRET_KEY": SECRET,
            "FLASK_ENCRYPTION_KEYS": base64.urlsafe_b64encode(b"k" * 32).decode(),
            "FLASK_BCRYPT_LOG_ROUNDS": "4",
            "WEB_CONCURRENCY": "1",
        },
    )
    service.wait_until_ready()
    yield service
    service.stop()


@pytest.fixture
def run(node, service):
    """Run a script as a user who has turned two steps on, and return its ``out``."""

    def run(script):
        return json.loads(
            node(f"{PREAMBLE}{script}\nconsole.log(JSON.stringify(out));", service.url, "alice@example.com", PASSWORD)
        )

    return run


def test_a_sign_in_says_what_it_needs_next(run):
    out = run("""
        await session.signOut();
        const result = await session.signIn(email, password);
        out.result = { ...result, continuation: typeof result.continuation };
        out.user = session.user ?? null;
        sent.length = 0;
        out.wrong = await session.second(result.continuation, { totp: '000000' }).catch(({ code }) => code);
        await session.second(result.continuation, { totp: codeOf(secret, 1) });
        out.sent = sent;
        out.email = session.user.email;
    """)
    assert out["before"] == {"status": "signed-in"}
    assert out["result"] == {
        "status": "second-factor",
        "continuation": "string",
        "methods": ["totp", "recoveryCode"],
        "expiresIn": 300,
    }
    assert out["user"] is None
    assert out["wrong"] == "second_factor_wrong"
    assert out["sent"] == ["POST /auth/second 401", "POST /auth/second 200"]
    assert out["email"] == "alice@example.com"


def test_a_request_is_repeated_after_the_step_up_and_the_user_is_asked_once(run):
    out = run("""
        const renew = () => other.call('POST', '/users/me/recovery-codes');
        out.unasked = await renew().catch(({ code }) => code);
        other.onStepUpRequired = async () => false;
        out.givenUp = await renew().catch(({ code }) => code);
        out.asked = [];
        other.onStepUpRequired = async (need) => {
            out.asked.push(need);
            out.wrong = await other.stepUp({ recoveryCode: 'none' }).catch(({ code }) => code);
            await other.stepUp({ recoveryCode: codes[0] });
            return true;
        };
        sent.length = 0;
        const [called, fetched] = await Promise.all([
            renew(), other.fetch(`${base}/users/me/recovery-codes`, { method: 'POST' }),
        ]);
        out.answers = [called.recoveryCodes.length, fetched.status];
        out.sent = sent;
    """)
    assert [out["unasked"], out["givenUp"], out["wrong"]] == ["step_up_required"] * 2 + ["second_factor_wrong"]
    assert out["asked"] == [{"maxAge": 600, "acrValues": "aal2"}]
    assert out["answers"] == [10, 200]
    assert out["sent"] == [
        *["POST /users/me/recovery-codes 403"] * 2,
        "POST /auth/step-up 401",
        "POST /auth/step-up 200",
        *["POST /users/me/recovery-codes 200"] * 2,
    ]
