"""Routes from a torch classifier to an ONNX graph: optimum's export, and torch's own.

Both write a graph of the same inputs that accepts any batch size and text length. What follows is the same for both:
the rewrites, the int8 variant and the comparison with torch.
"""
