"""Reads a data set back with the real Rubrix client: run by the python of Rubrix's own environment.

python witness.py URL NAME [QUERY]      the key is in RUBRIX_API_KEY; prints a JSON list of records
"""

import json
import sys

import rubrix

url, name, *query = sys.argv[1:]
rubrix.init(api_url=url)
records = rubrix.load(name, query=query[0] if query else None)
print(
    json.dumps(
        [
            {
                "id": record.id,
                "inputs": record.inputs,
                "prediction": record.prediction,
                "prediction_agent": record.prediction_agent,
                "annotation": record.annotation,
                "annotation_agent": record.annotation_agent,
                "status": record.status,
                "metadata": record.metadata,
                "event_timestamp": record.event_timestamp and str(record.event_timestamp),
                "multi_label": record.multi_label,
            }
            for record in records
        ]
    )
)
