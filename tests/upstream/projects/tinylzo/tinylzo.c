/* Needs a shared library that a user must install with apt: version() is liblzo2's. */
#include <Python.h>
#include <lzo/lzo1x.h>

static PyObject *version(PyObject *self, PyObject *args) { return PyLong_FromLong(lzo_version()); }

static PyMethodDef methods[] = {{"version", version, METH_NOARGS, "LZO's version."}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tinylzo", NULL, -1, methods};

PyMODINIT_FUNC PyInit_tinylzo(void) { return PyModule_Create(&module); }
