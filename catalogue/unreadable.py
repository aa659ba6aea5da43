"""What is wrong with a YAML text, in words: where its syntax is at fault, and where only its shape is."""

import unicodedata

import yaml

# What keyboards and documents put in the place of YAML's own signs
LOOKS_LIKE = {"\uff1a": ":", "\u201c": '"', "\u201d": '"', "\u3000": "a space", "\xa0": "a space"}
PLAIN = "a text, a number, true or false, a list or a mapping, without a tag"
UNCLOSED = "write valid YAML: is a bracket or a quote unclosed, or a line indented differently from its neighbours?"
# Part of the parser's own words → what to write
ESCAPE = "between double quotes write each \\ twice, or put the text between single ones"
REMEDIES = {
    "mapping values are not allowed": 'quote a text with a colon and a space ("a: b"), or correct the indentation',
    "cannot start any token": "quote a text that begins with @, %, ` or the like",
    "alphabetic or numeric character": "quote a text that begins with * or &",
    "escape": ESCAPE,
    "hexdecimal": ESCAPE,
}


class Misshapen(yaml.constructor.ConstructorError):
    """YAML that has no fault of syntax, and is not what can be read here: `problem` is what stands there, `allowed`
    what may."""

    def __init__(self, problem: str, allowed: str, mark: yaml.Mark) -> None:
        super().__init__(None, None, problem, mark)
        self.allowed = allowed


def describe_character(sign: str) -> str:
    """A character by its number and its name."""
    return f"U+{ord(sign):04X} ({unicodedata.name(sign, 'a character without a name')})"


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, str]:
    """Where in the text, what was found, and what is allowed there."""
    line = error.problem_mark.line + 1 if error.problem_mark else 0
    return (f"line {line}" if line else "file", *_problem_and_remedy(error, text.split("\n"), line))


def _problem_and_remedy(error: yaml.MarkedYAMLError, lines: list[str], line: int) -> tuple[str, str]:
    problem, text_of_line = str(error.problem), [*lines, ""][line - 1 if line else -1]
    if isinstance(error, Misshapen):
        return problem, error.allowed
    if "for merging" in problem:
        return "<< is not followed by a mapping", "<<: *NAME, where &NAME marks a mapping above"
    if isinstance(error, yaml.constructor.ConstructorError):
        # PyYAML's own, of a tag on a value of another kind: `!!map x`
        return problem, PLAIN
    if "undefined alias" in problem:
        return "an alias (*NAME) without an &NAME above", "mark the value with &NAME above, or write it here"
    if "cannot start any token" in problem and "\t" in text_of_line:
        return "a tab, which YAML does not allow as indentation", "use spaces"
    if "another document" in problem:
        return "a second document begins here", "one document per file: remove the line with ---"
    looks = _lookalike(lines, line)
    if looks:
        return problem, f"write valid YAML: {looks}"
    return problem, next((remedy for words, remedy in REMEDIES.items() if words in problem), UNCLOSED)


def _lookalike(lines: list[str], line: int) -> str:
    """What stands in the place of one of YAML's own signs, on a line that cannot be read or the one above it."""
    for number in (line, line - 1):
        text = lines[number - 1].partition("#")[0] if 0 < number <= len(lines) else ""
        for sign, meant in LOOKS_LIKE.items():
            if sign in text:
                return f"line {number} has {describe_character(sign)}, but YAML expects {meant} there"
    return ""
