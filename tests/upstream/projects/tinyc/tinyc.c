/* The smallest extension module: answer() returns 42. */
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, "Forty-two."}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tinyc", NULL, -1, methods};

PyMODINIT_FUNC PyInit_tinyc(void) { return PyModule_Create(&module); }
