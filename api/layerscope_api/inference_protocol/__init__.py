"""The Open Inference Protocol, version 2, with the binary tensor data extension: its routes, requests and responses.

The protocol is defined at https://github.com/kserve/open-inference-protocol, the extensions by Triton Inference Server.
Layerscope adds that any layer, and the picture of any layer, can be requested as an output.
"""
