"""Go's text/template in Python, with Alertmanager's functions and data.

Pure: no input and output, no clock, nothing of amproxy outside of this package.

    texts = TemplateSet(alertmanager.FUNCTIONS, missing_key="zero")        # template.py
    texts.add("team.tmpl", file_text)                  # GoParseError: name, line, column
    title = texts.text('{{ template "team.title" . }}')
    title.render(data, now=nanoseconds, limits=Limits(out_of_time=...))    # GoExecError

The way of a text: `lexer` → tokens, `parser` → trees of `nodes`, `compiler` → closures, which run
with an `execution` that holds output, limits and the place of errors. `values` says which Python
values stand for Go's and how a type lists fields and methods; `functions` are Go's own, among them
the formats of `formatting` and `floats`; `times`, `durations`, `layouts`, `parsing` are Go's time
package; `alertmanager` and `alertmanager_data` are what Alertmanager adds.
"""
