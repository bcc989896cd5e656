"""The examples in docs/configuration.md are good, and its tables are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policy.files import sheet, write_toml, write_xml
from policy.files.toml_rules import (
    DelegateTable,
    MessageTable,
    OwnTable,
    ReceiveTable,
    SendTable,
    Table,
)
from policy.files.toml_schema import FileTable, IncludeTable, QuotaTable, SectionTable

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_good(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    assert sheet.alone(str(tmp_path / "a.toml")) != sheet.Sheet(())


def test_the_example_of_a_conversion_is_what_the_program_makes_of_it(tmp_path: Path) -> None:
    (xml,) = re.findall(r"^```xml\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    (tmp_path / "a.conf").write_text(xml)
    assert write_toml.write(sheet.alone(str(tmp_path / "a.conf"))) == EXAMPLES[0]


def test_the_last_example_is_more_than_xml_can_say(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(EXAMPLES[2])
    with pytest.raises(write_xml.Unsayable) as caught:
        write_xml.write(sheet.alone(str(tmp_path / "a.toml")))
    assert len(caught.value.complaints) == 4


@pytest.mark.parametrize(
    "table",
    [
        FileTable,
        IncludeTable,
        SectionTable,
        QuotaTable,
        MessageTable,
        SendTable,
        ReceiveTable,
        OwnTable,
        DelegateTable,
    ],
)
def test_each_key_is_explained(table: type[Table]) -> None:
    for name, field in table.model_fields.items():
        key = field.alias or name
        assert re.search(rf"`(\[+)?{key}\b", DOCUMENT) or f"[{key}]" in DOCUMENT, key
