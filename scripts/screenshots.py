"""The README's pictures: `python -m scripts.screenshots [FOLDER]` writes small PNGs to docs/images/.

Needs the built page and Chromium; everything shown is answered by scripted models in a house of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.guests import Guests, ask, chromium, ended, has_words, last_answer
from tests.house import ROOT, House, Person, python

QUESTION = {
    "en": "Why is the sum of the first n odd numbers a square?",
    "zh": "为什么前 n 个奇数之和是一个平方数？",
}
ANSWER = {
    "en": """Lay the odd numbers as **corners** around a square:

| n | sum | square |
|--:|:----|-------:|
| 1 | 1 | 1 |
| 2 | 1 + 3 | 4 |
| 3 | 1 + 3 + 5 | 9 |

Each new corner has $2n - 1$ stones, and it turns a square of side $n-1$ into one of side $n$:

$$(n-1)^2 + (2n-1) = n^2$$

The same in Python:

```python
def odd_sum(n: int) -> int:
    return sum(2 * k - 1 for k in range(1, n + 1))
```
""",
    "zh": """把奇数看作围在正方形外的**拐角**：

| n | 和 | 平方 |
|--:|:----|-------:|
| 1 | 1 | 1 |
| 2 | 1 + 3 | 4 |
| 3 | 1 + 3 + 5 | 9 |

每个新拐角有 $2n - 1$ 颗石子，把边长 $n-1$ 的正方形补成边长 $n$ 的：

$$(n-1)^2 + (2n-1) = n^2$$
""",
}
WIDE = {"viewport": {"width": 1200, "height": 750}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "light",
}


def models(house: House, admin: Person) -> None:
    inline = {"inline": True}
    house.echo_model(admin, "Echo", text=ANSWER["en"], delay_ms=15, settings=inline)
    house.echo_model(admin, "Echo 回声", text=ANSWER["zh"], delay_ms=8, settings=inline)
    house.echo_model(admin, "Echo large", text=ANSWER["en"], delay_ms=0, settings={"load_ms": 3000})
    script = {"text": ANSWER["en"], "delay_ms": 5, "fault": "error", "fault_at": 30, "fault_always": True}
    house.echo_model(admin, "Echo frail", settings=inline, **script)


class Pictures:
    def __init__(self, house: House, guests: Guests, person: Person, folder: Path) -> None:
        self.house, self.guests, self.person, self.folder = house, guests, person, folder

    def chat(self, model: str, lang: str = "en", **options: object) -> Page:
        """A page that has just asked `model` its question."""
        body = {"model": model}
        made = self.house.call("POST", "/api/conversations/", self.person, status=201, json=body)
        page = self.guests.open(self.person, f"/c/{made['id']}", **options)
        page.get_by_test_id("composer").wait_for()
        ask(page, QUESTION[lang])
        return page

    def take(self, page: Page, name: str) -> None:
        page.evaluate("() => document.fonts.ready")
        # What is loaded late: formulas, the list and the models.
        for waits in (".formula-waits", ".list-waits", ".ant-skeleton"):
            page.wait_for_function("(one) => !document.querySelector(one)", arg=waits)
        page.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        page.context.close()

    def all(self) -> None:
        page = self.guests.open(path="/login", **WIDE)
        page.get_by_test_id("submit").wait_for()
        self.take(page, "login")
        page = self.guests.open(self.person, **WIDE)
        page.get_by_text("Echo answers here").wait_for()
        self.take(page, "empty")
        page = self.chat("Echo", **WIDE)
        has_words(page, 45)
        self.take(page, "streaming")
        page = self.chat("Echo large", **WIDE)
        last_answer(page).get_by_text("60 %").wait_for()
        self.take(page, "loading")
        page = self.chat("Echo frail", **WIDE)
        ended(page, "failed")
        self.take(page, "failed")
        page = self.chat("Echo", **PHONE)
        ended(page)
        self.take(page, "phone")
        page = self.chat("Echo", **WIDE | {"color_scheme": "dark"})
        ended(page)
        self.take(page, "dark")
        page = self.chat("Echo 回声", "zh", **WIDE, locale="zh-CN")
        ended(page)
        self.take(page, "chinese")
        page = self.guests.open(self.person, "/models", **WIDE)
        page.get_by_test_id("model-card").first.wait_for()
        self.take(page, "models")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    house = House(worker=True)
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    with house, chromium() as browser:
        admin = house.register("anna")
        models(house, admin)
        guests = Guests(browser, house)
        Pictures(house, guests, admin, folder).all()
        if guests.trouble:
            sys.exit("\n".join(guests.trouble))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
