/* Of `patterns.c`: what the tokens of a text name, by number or by a label, and the words that belong to a name. */

enum { BEGINS_NAME = 1, COMPARES = 2, PLACED = 4, APPOSES = 8, ENDS_APPOSED = 16, DESCRIBES = 32, BEFORE_NAME = 64, SIZED = 128 };
enum { MOST_SKIPPED = 6, MOST_ADJECTIVES = 6, GENERIC_BEFORE = 3, GENERIC_AFTER = 7 };

typedef struct {
    PyObject_HEAD
    PyObject *meanings, *compounds; /* what mentions by number mean; whether two words are the name of one thing */
    PyObject *determiners, *anything, *another;
    uint8_t kinds[256]; /* of a class: what of the above it is */
    uint8_t region, skipped, word, generic, comma;
} Namer;

static PyTypeObject *NamerType;

/* The tokens of a text, and the class of each, which naming changes. */
typedef struct {
    PyObject *words;
    uint8_t *classes;
    Py_ssize_t size;
} Named;

/* A token without the blanks around it, and its length; NULL with an error. */
static const char *bare(PyObject *word, Py_ssize_t *size) {
    const char *text = PyUnicode_AsUTF8AndSize(word, size);
    while (text && *size && (*text == ' ' || (*text >= '\t' && *text <= '\r'))) text++, --*size;
    while (text && *size && (text[*size - 1] == ' ' || (text[*size - 1] >= '\t' && text[*size - 1] <= '\r'))) --*size;
    return text;
}

/* Whether a token, without blanks, is a word; -1 with an error. */
static int is_word(PyObject *token, PyObject *word) {
    Py_ssize_t size, expected;
    const char *text = bare(token, &size), *other = text ? PyUnicode_AsUTF8AndSize(word, &expected) : NULL;
    return other ? size == expected && !memcmp(text, other, size) : -1;
}

/* Whether a token is one of some words. */
static int is_one_of(PyObject *token, PyObject *words) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(words); i++) {
        int found = is_word(token, PyTuple_GetItem(words, i));
        if (found) return found;
    }
    return 0;
}

/* Whether a name means somebody else: "another chair", "the larger appliance", "the object behind", "table lamp". */
static int is_other(const Namer *self, const Named *in, Py_ssize_t index, Py_ssize_t end) {
    if (index && self->kinds[in->classes[index - 1]] & COMPARES) return 1;
    PyObject *word = PyList_GetItem(in->words, index);
    int another = index ? PyUnicode_Compare(PyList_GetItem(in->words, index - 1), self->another) == 0 : 0;
    if (another || end >= in->size) return another;
    int found = self->kinds[in->classes[end]] & PLACED ? is_one_of(word, self->anything) : 0;
    if (found || in->classes[end] != self->word) return found;
    PyObject *compound = PyObject_CallFunctionObjArgs(self->compounds, word, PyList_GetItem(in->words, end), NULL);
    found = compound ? PyObject_IsTrue(compound) : -1;
    Py_XDECREF(compound);
    return found;
}

/* Makes the longest label that begins at a token a mention; returns where it ends, the token itself where none does, or -1. */
static Py_ssize_t match_label(const Namer *self, const Named *in, Py_ssize_t index, PyObject *ways, PyObject *mentions) {
    for (Py_ssize_t i = 0; i < PyList_Size(ways); i++) {
        PyObject *way = PyList_GetItem(ways, i), *rest = PyTuple_GetItem(way, 0);
        Py_ssize_t size = PyTuple_Size(rest), end = index + 1 + size;
        int follows = size >= 0 && end <= in->size;
        for (Py_ssize_t k = 0; follows > 0 && k < size; k++)
            follows = is_word(PyList_GetItem(in->words, index + 1 + k), PyTuple_GetItem(rest, k));
        int other = follows > 0 ? is_other(self, in, index, end) : 0;
        if (follows < 0 || other < 0 || PyErr_Occurred()) return -1;
        if (!follows || other) continue;
        in->classes[index] = self->region;
        memset(in->classes + index + 1, self->skipped, size);
        PyObject *number = PyLong_FromSsize_t(index);
        int failed = !number || PyDict_SetItem(mentions, number, PyTuple_GetItem(way, 1)) < 0;
        Py_XDECREF(number);
        return failed ? -1 : end;
    }
    return PyErr_Occurred() ? -1 : index;
}

/* Whether something is told in general near a token: "a typical chair", "a chair is usually". */
static int is_generic(const Namer *self, const Named *in, Py_ssize_t index) {
    Py_ssize_t begin = index > GENERIC_BEFORE ? index - GENERIC_BEFORE : 0;
    Py_ssize_t end = index + GENERIC_AFTER < in->size ? index + GENERIC_AFTER : in->size;
    return memchr(in->classes + begin, self->generic, end - begin) != NULL;
}

static int match_labels(const Namer *self, const Named *in, PyObject *naming, PyObject *ways, PyObject *mentions) {
    int general = memchr(in->classes, self->generic, in->size) != NULL;
    Py_ssize_t begin = 0;
    for (Py_ssize_t i = 0; i < PyList_Size(naming); i++) {
        Py_ssize_t index = PyLong_AsSsize_t(PyList_GetItem(naming, i));
        if (index < 0 || index >= in->size) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_IndexError, "a label begins at a token that the text has not");
            return -1;
        }
        if (index < begin || (general && is_generic(self, in, index))) continue;
        PyObject *known = PyDict_GetItemWithError(ways, PyList_GetItem(in->words, index));
        begin = known ? match_label(self, in, index, known, mentions) : index;
        if (begin < 0 || PyErr_Occurred()) return -1;
    }
    return 0;
}

/* Where the words of "the old wooden (chair)" begin behind "the", before the mention at a token; the token itself, or -1. */
static Py_ssize_t adjectives(const Namer *self, const Named *in, Py_ssize_t index) {
    Py_ssize_t first = index - 1;
    int apposed = first >= 0 && self->kinds[in->classes[first]] & APPOSES;
    if (apposed && in->classes[first] == self->comma &&
        (index + 1 >= in->size || !(self->kinds[in->classes[index + 1]] & ENDS_APPOSED)))
        return index;
    for (Py_ssize_t at = first - (apposed != 0); at >= 0 && at > first - MOST_ADJECTIVES; at--) {
        if (!(self->kinds[in->classes[at]] & BEFORE_NAME)) return index;
        int found = is_one_of(PyList_GetItem(in->words, at), self->determiners);
        if (found) return found < 0 ? -1 : at + 1;
        if (!(self->kinds[in->classes[at]] & DESCRIBES)) return index;
    }
    return index;
}

/* Skips the words of "the old wooden" before each mention. */
static int skip_adjectives(const Namer *self, const Named *in) {
    for (Py_ssize_t at = 0; at < in->size; at++) {
        if (!(self->kinds[in->classes[at]] & BEGINS_NAME)) continue;
        Py_ssize_t end = at + 1;
        while (end < in->size && end - at <= MOST_SKIPPED && in->classes[end] == self->skipped) end++;
        if (end >= in->size || in->classes[end] != self->region) continue;
        Py_ssize_t begin = adjectives(self, in, end);
        if (begin < 0) return -1;
        memset(in->classes + begin, self->skipped, end - begin);
        at = end;
    }
    return 0;
}

/* What the mentions by number mean, by token; NULL with an error. */
static PyObject *numbered(const Namer *self, const Named *in, PyObject *base, PyObject *count) {
    PyObject *mentions = PyDict_New(), *said = PyList_New(0), *different = NULL, *meant = NULL;
    const uint8_t *end = in->classes + in->size, *at = in->classes;
    while (mentions && said && (at = memchr(at, self->region, end - at)))
        if (PyList_Append(said, PyList_GetItem(in->words, at++ - in->classes)) < 0) Py_CLEAR(said);
    if (said && PyList_Size(said)) {
        different = PyFrozenSet_New(said);
        meant = different ? PyObject_CallFunctionObjArgs(self->meanings, different, base, count, NULL) : NULL;
        if (!meant) Py_CLEAR(said);
    }
    at = in->classes;
    while (mentions && said && meant && (at = memchr(at, self->region, end - at))) {
        Py_ssize_t index = at++ - in->classes;
        PyObject *mention = PyDict_GetItemWithError(meant, PyList_GetItem(in->words, index)), *number = PyLong_FromSsize_t(index);
        if (!mention && !PyErr_Occurred()) PyErr_SetString(PyExc_KeyError, "a mention without a meaning");
        if (!mention || !number || PyDict_SetItem(mentions, number, mention) < 0) Py_CLEAR(said);
        Py_XDECREF(number);
    }
    if (!said) Py_CLEAR(mentions);
    Py_XDECREF(said);
    Py_XDECREF(different);
    Py_XDECREF(meant);
    return mentions;
}

/* The quantities of a text by the token of each; NULL with an error. */
static PyObject *amounts_of(const Namer *self, const Named *in, PyObject *found) {
    PyObject *amounts = PyDict_New();
    Py_ssize_t count = PyTuple_Size(found), next = 0;
    for (Py_ssize_t at = 0; amounts && next < count && at < in->size; at++) {
        if (!(self->kinds[in->classes[at]] & SIZED)) continue;
        PyObject *number = PyLong_FromSsize_t(at);
        if (!number || PyDict_SetItem(amounts, number, PyTuple_GetItem(found, next++)) < 0) Py_CLEAR(amounts);
        Py_XDECREF(number);
    }
    return amounts;
}

/* Puts what the mentions mean in the place of what rules look at of their tokens. */
static int show_mentions(PyObject *forms, PyObject *mentions) {
    PyObject *number, *mention;
    Py_ssize_t at = 0;
    while (PyDict_Next(mentions, &at, &number, &mention))
        if (PyList_SetItem(forms, PyLong_AsSsize_t(number), Py_NewRef(mention)) < 0) return -1;
    return 0;
}

/* Of a text: its tokens, their classes, what rules look at of each (which is changed), the tokens with which a label may begin, how
   labels go on by their first token, its quantities, the number of the first region, and how many have labels. Returns the classes
   with every name made one mention, the mentions, and the quantities by their tokens. */
static PyObject *namer_name(PyObject *me, PyObject *const *given, Py_ssize_t count) {
    const Namer *self = (Namer *)me;
    Py_ssize_t size = 0;
    if (count != 8 || !PyList_Check(given[0]) || !PyUnicode_Check(given[1]) || !PyList_Check(given[2]) || !PyList_Check(given[3]) ||
        !PyDict_Check(given[4]) || !PyTuple_Check(given[5])) {
        PyErr_SetString(PyExc_TypeError, "expected tokens, classes, forms, tokens of labels, labels, quantities and two numbers");
        return NULL;
    }
    const char *classes = PyUnicode_AsUTF8AndSize(given[1], &size);
    if (classes && (PyUnicode_GetLength(given[1]) != size || PyList_Size(given[0]) != size || PyList_Size(given[2]) != size))
        PyErr_SetString(PyExc_ValueError, "expected as many tokens, classes and forms");
    Named in = {given[0], PyErr_Occurred() ? NULL : PyMem_Malloc(size + 1), size};
    if (!in.classes) return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    memcpy(in.classes, classes, size);
    PyObject *amounts = amounts_of(self, &in, given[5]);
    PyObject *mentions = amounts ? numbered(self, &in, given[6], given[7]) : NULL, *known = NULL, *result = NULL;
    if (mentions && match_labels(self, &in, given[3], given[4], mentions) >= 0 && skip_adjectives(self, &in) >= 0 &&
        show_mentions(given[2], mentions) >= 0)
        known = PyUnicode_DecodeASCII((const char *)in.classes, size, NULL);
    if (known) result = PyTuple_Pack(3, known, mentions, amounts);
    PyMem_Free(in.classes);
    Py_XDECREF(known);
    Py_XDECREF(mentions);
    Py_XDECREF(amounts);
    return result;
}

static void namer_free(PyObject *self) {
    Namer *namer = (Namer *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(namer->meanings);
    Py_DECREF(namer->compounds);
    Py_DECREF(namer->determiners);
    Py_DECREF(namer->anything);
    Py_DECREF(namer->another);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* A namer: what tells the meaning of mentions, and of compounds; determiners, words for anything, and " another"; the classes of each
   kind, in the order above; and those of a region, of what says nothing, of a word, of what is told in general, and of a comma. */
static PyObject *patterns_namer(PyObject *module, PyObject *given) {
    PyObject *meanings, *compounds, *determiners, *anything, *another, *kinds;
    const char *others;
    if (!PyArg_ParseTuple(given, "OOO!O!UO!s", &meanings, &compounds, &PyTuple_Type, &determiners, &PyTuple_Type, &anything, &another,
                          &PyTuple_Type, &kinds, &others))
        return NULL;
    if (strlen(others) != 5 || PyTuple_Size(kinds) != 8) {
        PyErr_SetString(PyExc_ValueError, "expected the classes of eight kinds, and five more");
        return NULL;
    }
    Namer *namer = PyObject_New(Namer, NamerType);
    if (!namer) return NULL;
    memset(namer->kinds, 0, sizeof namer->kinds);
    namer->meanings = Py_NewRef(meanings), namer->compounds = Py_NewRef(compounds);
    namer->determiners = Py_NewRef(determiners), namer->anything = Py_NewRef(anything), namer->another = Py_NewRef(another);
    for (int kind = 0; kind < 8; kind++) {
        const char *classes = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(kinds, kind), NULL);
        for (; classes && *classes; classes++) namer->kinds[(uint8_t)*classes] |= 1 << kind;
    }
    namer->region = others[0], namer->skipped = others[1], namer->word = others[2], namer->generic = others[3], namer->comma = others[4];
    if (!PyErr_Occurred()) return (PyObject *)namer;
    Py_DECREF((PyObject *)namer);
    return NULL;
}

static PyMethodDef namer_methods[] = {
    {"name", FAST(namer_name)},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot namer_slots[] = {{Py_tp_dealloc, namer_free}, {Py_tp_methods, namer_methods}, {0, NULL}};
static PyType_Spec namer_spec = {
    "_patterns.Namer", sizeof(Namer), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, namer_slots,
};
