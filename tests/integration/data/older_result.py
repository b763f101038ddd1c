"""Writes older_result.sql from the database of a server that has run one experiment: what a release of before `load` has stored of it.

Its tables are those of that release. From the documents all is taken out that the description of release 1.0.0 does not name.
older_result.py DATABASE openapi/released/1.0.0.json > older_result.sql
"""

import json
import re
import sqlite3
import sys
import zlib

database, description = sys.argv[1:]
schemas = json.load(open(description))["components"]["schemas"]


def fields(schema):
    if "$ref" in schema:
        return fields(schemas[schema["$ref"].rsplit("/", 1)[1]])
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", []) + schema.get("oneOf", []) + schema.get("anyOf", []):
        found.update(fields(part))
    if "items" in schema:
        found.update(fields(schema["items"]))
    return found


def older(value, schema):
    if isinstance(value, list):
        return [older(item, schema) for item in value]
    known = fields(schema)
    if not isinstance(value, dict) or not known:
        return value
    return {name: older(item, known[name]) for name, item in value.items() if name in known}


connection = sqlite3.connect(database)
(packed,) = connection.execute("SELECT packed FROM reports").fetchone()
report = older(json.loads(zlib.decompress(packed, -15)), {"$ref": "/Results"})
report["machine"]["hostname"] = "lab-box"
connection.execute("UPDATE reports SET report = ?, packed = NULL", (json.dumps(report),))
for rowid, spec in connection.execute("SELECT rowid, spec FROM experiments").fetchall():
    spec = older(json.loads(spec), {"$ref": "/Spec"})
    connection.execute("UPDATE experiments SET spec = ?, node_name = 'lab-box' WHERE rowid = ?", (json.dumps(spec), rowid))
for rowid, text in connection.execute("SELECT rowid, measurement FROM rank_cycles").fetchall():
    measurement = older(json.loads(text), {"$ref": "/Process"})
    # Beside the figures a row has its window, which the description has under the same name.
    connection.execute("UPDATE rank_cycles SET measurement = ? WHERE rowid = ?", (json.dumps(measurement), rowid))
for table in ("nodes", "audit_log", "idempotency_keys"):
    connection.execute(f"DELETE FROM {table}")
connection.commit()
print("\n".join(connection.iterdump()))
