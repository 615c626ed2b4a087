"""Puts the schemas of the Prometheus operator's kinds beside those that kubernetes-validate has of Kubernetes.

usage: operator_schemas.py SCHEMAS DEFINITION...

SCHEMAS is the validator's folder of schemas, with a folder for each version of Kubernetes; a DEFINITION is a
file of the operator's that defines one kind (a CustomResourceDefinition).
"""

import json
import pathlib
import sys

import yaml


def strict(schema):
    """The same schema, but objects whose fields it names have no others, as the API server has it with strict validation."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(value) for name, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def main(folder, *files):
    for file in files:
        definition = yaml.safe_load(pathlib.Path(file).read_text())["spec"]
        group = definition["group"].split(".")[0]
        kind = definition["names"]["kind"].lower()
        for version in definition["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
            schema["$id"] = f"https://kubernetes.io/api/{kind}/{group}/{version['name']}"
            # What every object has; the API server knows it without being told.
            schema["properties"]["metadata"] = {
                "$ref": "/api/_definitions.json#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
            }
            schema["properties"]["apiVersion"] = {"const": f"{definition['group']}/{version['name']}"}
            for kubernetes in pathlib.Path(folder).glob("v*-strict"):
                to = kubernetes / f"{kind}-{group}-{version['name']}.json"
                to.write_text(json.dumps(schema))


if __name__ == "__main__":
    main(*sys.argv[1:])
