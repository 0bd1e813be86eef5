"""The Open Inference Protocol, version 2, with its binary extension: what is read and what is written.

The protocol is that of https://github.com/kserve/open-inference-protocol, the extensions are those of Triton. What is
added: layers are outputs that a client can name, and so are their pictures.
"""
