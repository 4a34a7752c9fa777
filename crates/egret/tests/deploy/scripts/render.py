"""Renders with the libraries of Helm itself, and reads YAML as Kubernetes' own programs do.

    python render.py chart DIRECTORY VALUES    a JSON list of the objects; VALUES is JSON
    python render.py yaml                      the same, of the YAML on standard input
    python render.py lint DIRECTORY            what `helm lint` has to say, as JSON
"""

import json
import re
import sys

import helm_python as helm


def documents(text):
    for document in re.split(r"(?m)^---\s*$", text):
        if any(line.strip() and not line.strip().startswith("#") for line in document.splitlines()):
            yield helm.values_from_yaml(document)


def chart(directory, values):
    with helm.Chart.load(directory) as loaded:
        try:
            rendered = loaded.render(json.loads(values), name="egret", namespace="egret-system")
        except helm.HelmError as error:
            sys.exit(str(error))
        objects = []
        for path, text in sorted(rendered.items()):
            if path.endswith("NOTES.txt"):
                objects.append({"kind": "Notes", "text": text})
            else:
                objects.extend(documents(text))
        return objects


match sys.argv[1:]:
    case ["chart", directory, values]:
        print(json.dumps(chart(directory, values)))
    case ["yaml"]:
        print(json.dumps(list(documents(sys.stdin.read()))))
    case ["lint", directory]:
        print(json.dumps(helm.lint(directory)))
    case other:
        sys.exit(f"what is {other}?")
