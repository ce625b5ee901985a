"""The page of `lossrank review`: a local web page on which a person decides of the worst rows."""
