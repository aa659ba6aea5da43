"""How the dashboard looks: the style of a host's own page (agent/monitor/style.py), with what it has beyond that. Its
text is legible (WCAG 2, 4.5 to 1) in both colour schemes, which a test calculates."""

from agent.monitor.style import STYLE as OF_HOST

LIGHT = {"paper": "#ffffff", "ink": "#1f2328", "quiet": "#57606a", "link": "#0550ae", "use": "#0550ae"}
DARK = {"paper": "#121212", "ink": "#e6e6e6", "quiet": "#a0a9b2", "link": "#79c0ff", "use": "#79c0ff"}


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours.items())


STYLE = (
    f"""{OF_HOST}
:root {{ {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
    + """
body { max-width: 84rem; background: var(--paper); color: var(--ink); }
a { color: var(--link); }
th, td { word-break: keep-all; overflow-wrap: break-word; max-width: 28rem; }
th { white-space: nowrap; }
h2 { font-size: 1.25rem; }
h3 { font-size: 1.1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h4 { font-size: 1rem; margin: .9rem 0 .2rem; }
.host { border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem; margin: .9rem 0; }
.quiet { color: var(--quiet); }
.plots { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; }
figure { margin: 0; flex: 1 1 18rem; max-width: 27rem; }
figcaption { overflow-wrap: anywhere; }
.plot { width: 100%; height: auto; display: block; }
.plot text { fill: var(--quiet); font-size: 11px; }
.axis { stroke: var(--line); fill: none; }
.line { fill: none; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
.use { stroke: var(--use); }
.wrong { stroke: var(--bad); }
.day { min-width: 8rem; }
.wide:focus-visible { outline: 2px solid var(--link); }
@media (max-width: 40rem) { .host { padding: .5rem .6rem; } .day { min-width: 5rem; } }
@media print { .host { break-inside: avoid; } }
"""
)
