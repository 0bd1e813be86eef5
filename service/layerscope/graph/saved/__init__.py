"""SavedModel folders: only their graph is read, with taps at the scopes of their layers.

signature       the inputs and outputs of the model
checkpoint      its variables, by what its restoring operations would read
flattening      its functions, inlined where they are called
custom_gradients  gradients that the model defines itself
graph           the nodes that compute its outputs, made ready
scopes          which layer each node is in, and which call of it, by the names of the nodes
keras_metadata  the names and classes of layers, where Keras 2 wrote them
structure       the layers of the graph, without those inside loops
layer_types     the type of any other layer, by the operations inside it
wiring, taps    tensors that can be read and replaced, at each call of a layer
model           all of it: a folder becomes a `Trace`
"""
