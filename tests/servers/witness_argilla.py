"""Reads a data set back with the real Argilla client: run by the python of Argilla's own environment.

python witness_argilla.py URL NAME [STATUS]      the key is in ARGILLA_API_KEY; prints a JSON list of records
"""

import json
import os
import sys

import argilla

url, name, *status = sys.argv[1:]
client = argilla.Argilla(api_url=url, api_key=os.environ["ARGILLA_API_KEY"])
condition = [("response.status", "==", status[0])] if status else None
query = argilla.Query(filter=argilla.Filter(condition)) if condition else None
print(
    json.dumps(
        [
            {
                "id": record.id,
                "fields": dict(record.fields),
                "metadata": dict(record.metadata),
                "suggestions": [
                    {"question": one.question_name, "value": one.value, "score": one.score, "agent": one.agent}
                    for one in record.suggestions
                ],
                "responses": [{"value": one.value, "status": one.status.value} for one in record.responses],
            }
            for record in client.datasets(name).records(query=query, with_suggestions=True, with_responses=True)
        ]
    )
)
