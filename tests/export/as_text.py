"""Reads what a run with hostile texts left, by the parsers of Python's library and by the rules of the forms: every text of
`texts.json` arrives whole and as text. Run in the folder of the project by `tests/command/hostile.rs`."""

import csv
import glob
import json
import os
import re
import xml.dom.minidom

texts = json.load(open("texts.json"))


def has(whole, text):
    """Whether a name has a text: as it is, or in quotation marks as an address has it."""
    return text in whole or json.dumps(text, ensure_ascii=False)[1:-1] in whole


def read(name):
    return open(name, newline="").read().replace("\r\n", "\n")


# Names are whole in the attributes of XML, and no element comes out of them.
junit = xml.dom.minidom.parse("junit.xml")
names = [case.getAttribute("name") for case in junit.getElementsByTagName("testcase")]
for text in texts:
    assert any(has(name, text) for name in names), (text, names)
elements = "testsuites testsuite testcase properties property failure error skipped system-out system-err".split()
assert {node.tagName for node in junit.getElementsByTagName("*")} <= set(elements)

# No field that a spreadsheet would take for a formula, and every text in one.
tables = glob.glob("results/hostile/*.csv")
assert len(tables) == len(texts), tables
for name in tables + ["results.csv"]:
    fields = [field for row in csv.reader(open(name, newline="")) for field in row]
    for field in fields:
        assert not re.match(r"[=+@\t\r]|-[^0-9]", field), (name, field)
    for text in texts:
        assert any(has(field, text) for field in fields), (name, text)

# Markdown: no markup outside of code but what ddpipe writes.
markdown = glob.glob("results/hostile/*.md")
assert len(markdown) == len(texts), markdown
for name in markdown + ["summary.md"]:
    plain = re.sub(r"(?ms)^(```+)[^`\n]*\n.*?^\1`*$", "", read(name))
    plain = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", plain)
    plain = re.sub(r"<!-- made by .*?-->", "", plain)
    found = re.findall(r"(?<!\\)(?:\\\\)*</?([A-Za-z0-9]+|!--)", plain)
    assert set(found) <= {"details", "summary", "br"}, (name, found)

# LaTeX: no command but those that ddpipe writes, and as many cells in every row.
known = set(
    "usepackage begin end centering caption toprule midrule bottomrule par small textbf underline pm ddagger dagger "
    "textbackslash textasciicircum textasciitilde textless textgreater textbar".split()
)
latex = glob.glob("results/hostile/*.tex")
assert len(latex) == len(texts), latex
for name in latex:
    text = read(name)
    commands = set(re.findall(r"\\([A-Za-z]+)", text.replace("\\\\\n", "\n")))
    assert commands <= known, (name, commands - known)
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0].replace("\\midrule\n", "")
    for line in body.strip().splitlines():
        assert len(re.findall(r"(?<!\\)&", line)) == 1, (name, line)

# Exports: names of entities are addresses, texts are whole, and files have plain names.
crated = json.load(open("crate/ro-crate-metadata.json"))["@graph"]
for entity in crated:
    assert re.fullmatch(r"https?://[!-~]+|[#./A-Za-z0-9_=,-]+", entity["@id"]), entity["@id"]
for text in texts:
    assert any(has(str(entity.get("name", "")), text) for entity in crated), text
for top in ["crate", "mlruns", "tb"]:
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            assert re.fullmatch(r"[A-Za-z0-9_=,. -]+", name) and not name.startswith("."), name

# Nothing that is obeyed instead of shown.
hidden = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e]")
made = [name for name in glob.glob("results/hostile/*") if name.endswith((".csv", ".md", ".tex"))]
for name in ["junit.xml", "summary.md", "results.csv", "crate/ro-crate-metadata.json"] + made:
    assert not hidden.search(read(name)), name
