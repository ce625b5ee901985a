"""The local web page of `lossrank review`, where a person keeps, relabels or discards the worst rows."""
