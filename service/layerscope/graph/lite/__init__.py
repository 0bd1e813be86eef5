"""Lite: a `.tflite` file beside the Keras model that it was converted from, so that their layers can be compared.

    file ──▶ process ── limited child ──▶ worker: structure checked, written anew, run by the interpreter ──▶ values of layers

The interpreter is a C++ library that was not made for hostile files: it runs in a child, which ends alone if a file crashes it.
"""
