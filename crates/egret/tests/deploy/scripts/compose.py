"""Checks a compose file strictly, and prints it as JSON: python compose.py FILE."""

import json
import pathlib
import sys

import helm_python
from compose_spec import PyCompose

# Merge keys (`<<`) are resolved by the YAML reader, as Compose does it.
tree = helm_python.values_from_yaml(pathlib.Path(sys.argv[1]).read_text())
PyCompose.from_json(json.dumps(tree)).validate()
print(json.dumps(tree))
