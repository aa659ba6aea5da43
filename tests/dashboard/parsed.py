"""A page as a browser reads it: its elements, their attributes and texts, and its faults."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr", "base"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parent: "Element | None"
    text: str = ""
    children: list["Element"] = field(default_factory=list["Element"])


class Parsed(HTMLParser):
    """`faults` are tags that were not closed in their order, and attributes that an element has twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = self.current = Element("", {}, None)
        self.elements: list[Element] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        if self.current is not self.root:
            self.faults.append(f"<{self.current.tag}> is not closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.faults += [f"<{tag}> has {name} twice" for name in set(names) if names.count(name) > 1]
        element = Element(tag, {name: value or "" for name, value in attrs}, self.current)
        self.current.children.append(element)
        self.elements.append(element)
        if tag not in VOID:
            self.current = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.current.tag != tag or self.current.parent is None:
            self.faults.append(f"</{tag}> closes <{self.current.tag}>")
            return
        self.current = self.current.parent

    def handle_data(self, data: str) -> None:
        element: Element | None = self.current
        while element is not None:
            element.text += data
            element = element.parent

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]
