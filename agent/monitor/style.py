"""How the host's own page looks, and the script that shows whether it is still written; what it says then, the page
gives it in the owners' language."""

SCRIPT = """
function look() {
  var data = document.body.dataset, age = Date.now() / 1000 - Number(data.at), fresh = age < Number(data.stale);
  document.body.className = fresh ? "fresh" : "stale";
  var line = document.getElementById("age");
  line.textContent = fresh ? "" : line.dataset.old.replace("{minutes}", Math.round(age / 60));
}
look(); setInterval(look, 5000);
"""
STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #b42318; --none: #8884; }
@media (prefers-color-scheme: dark) { :root { --good: #56d364; --bad: #ff8178; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: .2rem 0; }
h2 { font-size: 1.1rem; border-top: 1px solid var(--line); padding-top: .8rem; }
table { border-collapse: collapse; width: 100%; }
.wide { overflow-x: auto; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top; border-bottom: 1px solid var(--line); }
td, li { overflow-wrap: anywhere; }
.healthy, .unhealthy { font-weight: 600; overflow-wrap: normal; }
td.healthy, td.unhealthy { word-break: keep-all; }
.healthy { color: var(--good); }
.unhealthy { color: var(--bad); }
.stale .healthy, .stale .day, .stale meter { color: inherit; opacity: .5; filter: grayscale(1); }
#age:not(:empty) { border: 2px solid var(--bad); padding: .5rem; font-weight: 600; }
.day { display: flex; gap: 1px; min-width: 10rem; height: 1.2rem; }
.day i { flex: 1; background: var(--none); }
.day .g { background: var(--good); }
.day .b { background: var(--bad); }
meter { width: 7rem; }
@media (max-width: 40rem) {
  body { font-size: 15px; padding: .6rem; }
  .day { min-width: 5rem; }
  meter { display: none; }
}
"""
