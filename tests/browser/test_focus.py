"""The keyboard focus is visible: pixels change by 3 to 1 when a control gets it (WCAG 2.2, criterion 2.4.13)."""

import base64

import pytest

from tests.browser.app import enter, expect

MARGIN = 8  # pixels around a control that its focus ring may use
# how many pixels of two pictures of the same size differ by 3 to 1 in WCAG's luminance
COUNT = """async (pictures) => {
    const [before, after] = await Promise.all(pictures.map(async (picture) => {
        const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
        const image = await createImageBitmap(new Blob([bytes]));
        const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
        canvas.drawImage(image, 0, 0);
        return canvas.getImageData(0, 0, image.width, image.height).data;
    }));
    const linear = (part) => part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4;
    const light = (data, i) =>
        0.2126 * linear(data[i]) + 0.7152 * linear(data[i + 1]) + 0.0722 * linear(data[i + 2]) + 0.05;
    let count = 0;
    for (let i = 0; i < before.length; i += 4) {
        const [low, high] = [light(before, i), light(after, i)].sort((a, b) => a - b);
        if (high / low >= 3) count += 1;
    }
    return count;
}"""
FOCUSED = """() => {
    let it = document.activeElement;
    while (it?.shadowRoot?.activeElement) it = it.shadowRoot.activeElement;
    if (!it || it === document.body) return null;
    const box = (it.closest('ion-input .input-wrapper') && it.matches('input') ? it.closest('.input-wrapper') : it)
        .getBoundingClientRect();
    const name = it.getAttribute('aria-label') || it.getRootNode().host?.textContent || it.textContent || it.name;
    const kind = [it.tagName, it.getRootNode().host?.tagName ?? ''].join(' ');
    return {name: `${kind} ${name}`.trim(), box: {x: box.x, y: box.y, width: box.width, height: box.height}};
}"""


@pytest.fixture
def weak_rings(context):
    """Tab through a page, and return the controls whose focus changes fewer pixels than a ring of two pixels has."""
    counter = context.new_page()

    def weak_rings(page, at_most=40):
        weak, seen = [], []
        for _ in range(at_most):
            page.keyboard.press("Tab")
            page.wait_for_timeout(350)  # Ionic fades the ring in
            focused = page.evaluate(FOCUSED)
            if focused is None or focused["name"] in seen:
                break
            seen.append(focused["name"])
            box = focused["box"]
            clip = {
                "x": max(0, box["x"] - MARGIN),
                "y": max(0, box["y"] - MARGIN),
                "width": box["width"] + 2 * MARGIN,
                "height": box["height"] + 2 * MARGIN,
            }
            after = page.screenshot(clip=clip, caret="hide")
            focus = page.evaluate_handle(
                "() => { let it = document.activeElement;"
                " while (it?.shadowRoot?.activeElement) it = it.shadowRoot.activeElement; it.blur(); return it; }"
            )
            page.wait_for_timeout(350)
            before = page.screenshot(clip=clip, caret="hide")
            pictures = [base64.b64encode(one).decode() for one in (before, after)]
            count = counter.evaluate(COUNT, pictures)
            if count < 2 * 2 * (box["width"] + box["height"]) * 0.9:  # round corners
                weak.append((focused["name"], count))
            focus.evaluate("(it) => it.focus()")
        return seen, weak

    return weak_rings


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_on_every_control(open_page, weak_rings, scheme):
    page = open_page("/app/", color_scheme=scheme)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    seen, weak = weak_rings(page)
    assert weak == []
    assert [name.split()[0] for name in seen] == ["A", *["BUTTON"] * 2, *["INPUT"] * 2, *["BUTTON"] * 3]

    enter(page)
    page.locator("summary", has_text="Delete account").click()
    page.locator("#home").focus()
    seen, weak = weak_rings(page)
    assert weak == []
    assert len(seen) >= 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_on_every_link(open_page, weak_rings, scheme):
    page = open_page("/", color_scheme=scheme)
    seen, weak = weak_rings(page)
    assert weak == []
    assert len(seen) == 4
