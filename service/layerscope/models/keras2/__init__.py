"""Files that Keras 2 wrote: opened by Keras 2 itself, the package `tf-keras`.

Some words of a configuration mean something else in Keras 3: `hard_sigmoid` is another function, and `training=True` of a
call is lost. A file that the other version opens gives other numbers. Keras 2 is imported only for files that need it.
"""
