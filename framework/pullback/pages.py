"""Pages that need nothing else, light or dark as their reader has it: what they have in common."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

STYLE = """
  .pullback {
    --pass: light-dark(#18794e, #4cc38a);
    --fail: light-dark(#c62a2f, #ff7b7e);
    --inconclusive: light-dark(#8f5a00, #f0b429);
    --quiet: light-dark(#666, #a3a3a3);
    --line: light-dark(#d8d8d8, #3a3a3a);
  }
  .pullback table { border-collapse: collapse; }
  .pullback th, .pullback td { padding: 0.3rem 0.75rem 0.3rem 0; text-align: left;
    vertical-align: top; }
  .pullback th { border-bottom: 2px solid var(--line); vertical-align: bottom;
    font-weight: 600; }
  .pullback td { border-bottom: 1px solid var(--line); }
  .pullback .wide { overflow-x: auto; }
  .pullback .number { text-align: right; font-variant-numeric: tabular-nums;
    white-space: nowrap; }
  .pullback .quiet { color: var(--quiet); }
  .pullback .pass { color: var(--pass); }
  .pullback .fail { color: var(--fail); font-weight: 600; }
  .pullback .inconclusive { color: var(--inconclusive); }
  .pullback .name { font-weight: 600; }
  .pullback pre { font: 0.85rem/1.5 ui-monospace, monospace; white-space: pre-wrap;
    overflow-wrap: anywhere; margin: 0 0 0.6rem; }
  .pullback pre .fail { font-weight: 400; }
  .pullback blockquote { border-left: 3px solid var(--fail); padding: 0 0 0 1rem;
    margin: 0.25rem 0 1.5rem; }
"""
_DOCUMENT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{ color-scheme: light dark; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1.5rem;
    max-width: 72rem; }}
  h1 {{ font-size: 1.6rem; margin: 0 0 0.75rem; }}
  h2 {{ font-size: 1.15rem; margin: 2.25rem 0 0.75rem; }}
  p {{ margin: 0.25rem 0; }}
  a {{ color: inherit; font-weight: 600; text-decoration-color: var(--line);
    text-underline-offset: 3px; }}
  @media (max-width: 40rem) {{
    body {{ padding: 0 0.75rem; margin: 1rem auto; }}
    .pullback th, .pullback td {{ padding-right: 0.5rem; }}
  }}
{style}</style>
<body class="pullback">
<h1>{title}</h1>
{body}
</body>
</html>
"""


def document(title: str, body: str, style: str = "") -> str:
    """A whole page; ``style`` is what its own elements look like beside :data:`STYLE`."""
    return _DOCUMENT.format(title=html.escape(title), body=body, style=STYLE + style)


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    """A table of cells that are HTML already; the columns ``numbers`` stand to the right."""
    right = set(numbers)

    def row(tag: str, cells: Sequence[str]) -> str:
        told = (f'<{tag} class="number">' if i in right else f"<{tag}>" for i in range(len(cells)))
        inside = zip(told, cells, strict=True)
        return f"<tr>{''.join(f'{start}{cell}</{tag}>' for start, cell in inside)}</tr>"

    body = "\n".join(row("td", cells) for cells in rows)
    head = f"<thead>{row('th', headings)}</thead>"
    return f'<div class="wide"><table>\n{head}\n<tbody>\n{body}\n</tbody></table></div>'


def fragment(body: str, style: str = "") -> str:
    """The same to stand in another page, a notebook's."""
    return f'<div class="pullback">\n<style>{STYLE}{style}</style>\n{body}</div>'
