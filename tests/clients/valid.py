"""Holds JSON to a JSON Schema: `valid.py SCHEMA FILE...`. A file that ends with .jsonl has a document in each line.

Prints each fault with its place, and how many documents were looked at. Exit code: 0 if all are valid, 1 if not."""

import json
import sys
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker

schema = json.loads(Path(sys.argv[1]).read_text())
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=FormatChecker())
documents = faults = 0
for name in sys.argv[2:]:
    text = Path(name).read_text()
    for line in text.splitlines() if name.endswith(".jsonl") else [text]:
        documents += 1
        for fault in validator.iter_errors(json.loads(line)):
            faults += 1
            print(f"{name}: {fault.json_path}: {fault.message}")
print(f"{documents} documents, {faults} faults")
sys.exit(1 if faults else 0)
