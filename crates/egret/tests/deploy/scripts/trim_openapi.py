"""Makes fixtures/openapi.json: what an API server's OpenAPI v3 documents say about the kinds that are deployed.

    python trim_openapi.py DIRECTORY > ../fixtures/openapi.json

DIRECTORY has the documents as `kubectl get --raw /openapi/v3/api/v1` and the like give them, one file each.
"""

import json
import pathlib
import sys

KINDS = {
    "v1": ["ConfigMap", "Namespace", "Pod", "Secret", "Service", "ServiceAccount"],
    "apiextensions.k8s.io/v1": ["CustomResourceDefinition"],
    "apps/v1": ["DaemonSet", "Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "batch/v1": ["CronJob", "Job"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
}
# What a schema is checked by; descriptions are four fifths of a document.
KEPT = {
    "$ref", "additionalProperties", "allOf", "anyOf", "enum", "format", "items", "oneOf", "properties", "required",
    "type", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-map-keys",
}


def trim(schema):
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for key, value in schema.items():
        if key not in KEPT:
            continue
        if key == "properties":
            kept[key] = {name: trim(inner) for name, inner in sorted(value.items())}
        elif key in ("allOf", "anyOf", "oneOf"):
            kept[key] = [trim(inner) for inner in value]
        elif key in ("items", "additionalProperties"):
            kept[key] = trim(value)
        else:
            kept[key] = value
    if list(kept) == ["allOf"] and len(kept["allOf"]) == 1:
        return kept["allOf"][0]
    return kept


def references(schema):
    if isinstance(schema, dict):
        # JSONSchemaProps has a property of this name, too.
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rsplit("/", 1)[1]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def main():
    schemas, kinds = {}, {}
    for path in pathlib.Path(sys.argv[1]).glob("api*.json"):
        schemas.update(json.loads(path.read_text())["components"]["schemas"])
    for name, schema in schemas.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", []):
            version = f"{gvk['group']}/{gvk['version']}".lstrip("/")
            if gvk["kind"] in KINDS.get(version, []):
                kinds[f"{version}/{gvk['kind']}"] = name
    missing = [f"{v}/{k}" for v, ks in KINDS.items() for k in ks if f"{v}/{k}" not in kinds]
    assert not missing, missing
    kept, wanted = {}, list(kinds.values())
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = trim(schemas[name])
            wanted.extend(references(kept[name]))
    print(json.dumps({"kinds": kinds, "schemas": kept}, indent=1, sort_keys=True))


main()
