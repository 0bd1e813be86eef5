"""SavedModel folders: read by their graph alone, with taps at the scopes of their layers.

signature       what the model is called with and what it gives
checkpoint      its variables, by what its restoring operations would read
flattening      its functions, put where they are called
graph           the nodes that compute its outputs, made ready
scopes          which layer each node is in, and which call of it, by the names of the nodes
structure       the layers of the graph, those inside loops apart
layer_types     what a layer is, by the operations inside it
wiring, taps    tensors that can be read and replaced, at each call of a layer
model           all of it: a folder becomes a `Trace`
"""
