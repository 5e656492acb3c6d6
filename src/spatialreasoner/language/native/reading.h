/* Of `patterns.c`: records filled by their slots, and the statements of a text by what is known of its sentences. */

/* Records: the values of a class with slots, set where they belong without asking the class */

enum { MOST_FIELDS = 16 };

typedef int (*Setter)(PyObject *slot, PyObject *record, PyObject *value);

typedef struct {
    PyObject_HEAD
    PyTypeObject *kind;
    Py_ssize_t size;
    PyObject *slots[MOST_FIELDS];
    Setter set[MOST_FIELDS];
} Maker;

static PyTypeObject *MakerType, *ReaderType;

static PyObject *record_of(const Maker *self, PyObject *const *values) {
    PyObject *made = PyType_GenericAlloc(self->kind, 0);
    for (Py_ssize_t i = 0; made && i < self->size; i++)
        if (self->set[i](self->slots[i], made, values[i]) < 0) Py_CLEAR(made);
    return made;
}

static PyObject *maker_make(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    if (count == ((Maker *)self)->size) return record_of((Maker *)self, given);
    return PyErr_Format(PyExc_TypeError, "expected %zd values; got %zd", ((Maker *)self)->size, count);
}

static void maker_free(PyObject *self) {
    Maker *maker = (Maker *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (Py_ssize_t i = 0; i < maker->size; i++) Py_XDECREF(maker->slots[i]);
    Py_XDECREF((PyObject *)maker->kind);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* What makes records: their class, and the names of all slots in the order in which values are given. */
static PyObject *patterns_maker(PyObject *module, PyObject *given) {
    PyObject *kind, *names;
    if (!PyArg_ParseTuple(given, "O!O!", &PyType_Type, &kind, &PyTuple_Type, &names)) return NULL;
    Py_ssize_t size = PyTuple_Size(names);
    if (size > MOST_FIELDS) return PyErr_Format(PyExc_ValueError, "expected at most %d fields; got %zd", MOST_FIELDS, size);
    Maker *maker = PyObject_New(Maker, MakerType);
    if (!maker) return NULL;
    maker->kind = (PyTypeObject *)Py_NewRef(kind);
    maker->size = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *slot = PyObject_GetAttr(kind, PyTuple_GetItem(names, i));
        if (slot) maker->slots[maker->size++] = slot;
        if (slot) maker->set[i] = (Setter)PyType_GetSlot(Py_TYPE(slot), Py_tp_descr_set);
        if (slot && Py_IS_TYPE(slot, &PyMemberDescr_Type)) continue;
        if (!PyErr_Occurred()) PyErr_Format(PyExc_TypeError, "%R has no slot %R", kind, PyTuple_GetItem(names, i));
        Py_DECREF((PyObject *)maker);
        return NULL;
    }
    return (PyObject *)maker;
}

/* Statements: a text is cut into sentences, each is looked up by its form, and what that states is told with the text's numbers */

enum { ENDS = 1, SAYS = 2 };

typedef struct {
    PyObject_HEAD
    Maker *make;
    PyObject *spoken, *ordered; /* makes what was spoken of; puts statements in order */
    uint8_t kinds[256];         /* of a class: whether it ends a sentence, or may say something */
    uint8_t noun, skipped, is, it, amount;
    Py_ssize_t most; /* classes of a sentence that does not end before */
} Reader;

/* A text as its reader has it. */
typedef struct {
    PyObject *forms, *words, *amounts;
    const int64_t *starts;
    Py_ssize_t size;
} Tokens;

/* Whether a noun and a verb behind it introduce something, to which "it" may refer. */
static int introduces(const Reader *self, const uint8_t *codes, Py_ssize_t begin, Py_ssize_t end) {
    for (Py_ssize_t at = begin; at < end; at++) {
        if (codes[at] != self->noun) continue;
        Py_ssize_t next = at + 1;
        while (next < end && codes[next] == self->skipped) next++;
        if (next < end && codes[next] == self->is) return 1;
    }
    return 0;
}

/* What the sentence from `begin` to `end` states and what the next one is read after, by its form and what was spoken of before. */
static PyObject *told_by(const Reader *self, PyObject *known, PyObject *codes, PyObject *count, const Tokens *in, Py_ssize_t begin,
                         Py_ssize_t end, Py_ssize_t next, PyObject *spoken, int has_amount) {
    PyObject *words = PyTuple_New(end - begin), *sentence = PyUnicode_Substring(codes, begin, next);
    for (Py_ssize_t i = begin; words && i < end; i++) PyTuple_SetItem(words, i - begin, Py_NewRef(PyList_GetItem(in->forms, i)));
    PyObject *form = words && sentence ? PyTuple_Pack(3, words, sentence, count) : NULL;
    Py_XDECREF(words);
    Py_XDECREF(sentence);
    if (!form) return NULL;
    PyObject *told = PyDict_GetItemWithError(known, form);
    told = told ? Py_NewRef(told) : PyErr_Occurred() ? NULL : PyObject_GetItem(known, form);
    Py_DECREF(form);
    if (!told || !PyDict_Check(told)) return told;
    PyObject *context = PyTuple_GetItem(spoken, 0); /* only lengths look at what else was spoken of */
    PyObject *key = has_amount ? Py_NewRef(spoken) : context ? PyObject_CallFunctionObjArgs(self->spoken, context, NULL) : NULL;
    PyObject *after = key ? PyObject_GetItem(told, key) : NULL;
    Py_XDECREF(key);
    Py_DECREF(told);
    return after;
}

static Py_ssize_t length_of(PyObject *tuple, Py_ssize_t at) { return PyTuple_Size(PyTuple_GetItem(tuple, at)); }

/* What the next sentence is read after: what this one leaves open is as before. */
static PyObject *spoken_after(const Reader *self, PyObject *before, PyObject *after) {
    if (length_of(after, 0) && !(length_of(before, 1) && !length_of(after, 1))) return Py_NewRef(after);
    PyObject *context = PyTuple_GetItem(length_of(after, 0) ? after : before, 0);
    PyObject *ends = PyTuple_GetItem(length_of(after, 1) ? after : before, 1);
    return PyObject_CallFunctionObjArgs(self->spoken, context, ends, PyTuple_GetItem(after, 2), NULL);
}

/* The number of a token of a sentence that a statement names; -1 with an error where the text has none. */
static Py_ssize_t token_of(PyObject *said, Py_ssize_t at, Py_ssize_t begin, const Tokens *in) {
    Py_ssize_t token = begin + PyLong_AsSsize_t(PyTuple_GetItem(said, at));
    if (token >= begin && token < in->size) return token;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_IndexError, "a statement names a token that its sentence has not");
    return -1;
}

/* One statement of the sentence that begins at a token, with its number and its place in the text, which is kept in `place`. */
static PyObject *stated(const Reader *self, PyObject *said, Py_ssize_t begin, const Tokens *in, Py_ssize_t place[2]) {
    if (!PyTuple_Check(said) || PyTuple_Size(said) != 8) return PyErr_Format(PyExc_TypeError, "expected a statement; got %R", said);
    PyObject *quantity = PyTuple_GetItem(said, 2), *factor = PyTuple_GetItem(said, 3), *amount = NULL, *times = NULL;
    Py_ssize_t first = token_of(said, 6, begin, in), last = token_of(said, 7, begin, in);
    if (first < 0 || last < 0) return NULL;
    if (quantity != Py_None) {
        PyObject *token = PyLong_FromSsize_t(begin + PyLong_AsSsize_t(quantity));
        amount = token ? PyDict_GetItemWithError(in->amounts, token) : NULL;
        if (!amount && token && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, token);
        Py_XDECREF(token);
        if (!amount) return NULL;
    } else if (factor != Py_None) {
        times = PyUnicode_InternFromString("times");
        if (!times) return NULL;
    }
    place[0] = in->starts[first] + (PyUnicode_ReadChar(PyList_GetItem(in->words, first), 0) == ' ');
    place[1] = in->starts[last + 1];
    PyObject *span = PyTuple_New(2), *made = NULL;
    for (int i = 0; span && i < 2; i++) PyTuple_SetItem(span, i, PyLong_FromSsize_t(place[i]));
    if (span && !PyErr_Occurred()) {
        PyObject *values[8] = {
            PyTuple_GetItem(said, 0),
            PyTuple_GetItem(said, 1),
            amount ? PyTuple_GetItem(amount, 0) : factor,
            amount ? PyTuple_GetItem(amount, 3) : Py_None,
            amount ? PyTuple_GetItem(amount, 1) : times ? times : Py_None,
            PyTuple_GetItem(said, 4),
            PyTuple_GetItem(said, 5),
            span,
        };
        made = PyErr_Occurred() ? NULL : record_of(self->make, values);
    }
    Py_XDECREF(span);
    Py_XDECREF(times);
    return made;
}

/* Adds the statements of a sentence to those found; -1 with an error. Where one begins before the last, they are not in order. */
static int add_stated(const Reader *self, PyObject *said, Py_ssize_t begin, const Tokens *in, PyObject *found, Py_ssize_t before[2],
                      int *in_order) {
    for (Py_ssize_t i = 0; i < PyTuple_Size(said); i++) {
        Py_ssize_t place[2];
        PyObject *one = stated(self, PyTuple_GetItem(said, i), begin, in, place);
        int failed = !one || PyList_Append(found, one) < 0;
        Py_XDECREF(one);
        if (failed) return -1;
        *in_order = *in_order && (place[0] > before[0] || (place[0] == before[0] && place[1] >= before[1]));
        before[0] = place[0], before[1] = place[1];
    }
    return PyErr_Occurred() ? -1 : 0;
}

/* The statements of a text in their order; NULL with an error. */
static PyObject *all_stated(const Reader *self, PyObject *codes, PyObject *count, PyObject *known, PyObject *spoken,
                            const Tokens *in, const uint8_t *classes) {
    PyObject *found = PyList_New(0);
    Py_ssize_t at = 0, before[2] = {0, 0};
    int in_order = 1, refers = memchr(classes, self->it, in->size) != NULL;
    Py_INCREF(spoken);
    while (found && at < in->size) {
        Py_ssize_t begin = at;
        int says = 0, has_amount = 0;
        while (at < in->size && at - begin < self->most && !(self->kinds[classes[at]] & ENDS)) at++;
        Py_ssize_t end = at;
        if (at < in->size && self->kinds[classes[at]] & ENDS) at++;
        for (Py_ssize_t i = begin; i < end; i++) {
            says |= self->kinds[classes[i]] & SAYS;
            has_amount |= classes[i] == self->amount;
        }
        if (!says && !(refers && introduces(self, classes, begin, at))) continue;
        PyObject *told = told_by(self, known, codes, count, in, begin, end, at, spoken, has_amount);
        PyObject *after = told && PyTuple_Check(told) ? spoken_after(self, spoken, PyTuple_GetItem(told, 1)) : NULL;
        int failed = !after || add_stated(self, PyTuple_GetItem(told, 0), begin, in, found, before, &in_order) < 0;
        Py_XDECREF(told);
        Py_DECREF(spoken);
        spoken = after;
        if (failed) Py_CLEAR(found);
    }
    Py_XDECREF(spoken);
    if (!found || in_order) return found;
    PyObject *ordered = PyObject_CallFunctionObjArgs(self->ordered, found, NULL);
    Py_DECREF(found);
    return ordered;
}

/* The statements of a text: its classes, what rules look at of each token, how many regions there are, what is known of sentences,
   what was spoken of before, where tokens begin, the tokens, and the quantities by token. None where it is not for this reader. */
static PyObject *reader_read(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    Py_ssize_t size = 0;
    if (count != 8 || !PyUnicode_Check(given[0]) || !PyList_Check(given[1]) || !PyDict_Check(given[3]) || !PyTuple_Check(given[4]) ||
        !PyList_Check(given[6]) || !PyDict_Check(given[7])) {
        PyErr_SetString(PyExc_TypeError, "expected what a reading has of a text, what is known of sentences, and what was spoken of");
        return NULL;
    }
    const char *classes = PyUnicode_AsUTF8AndSize(given[0], &size);
    if (!classes) return NULL;
    Py_buffer starts;
    if (PyObject_GetBuffer(given[5], &starts, PyBUF_SIMPLE) < 0) return NULL;
    Tokens in = {given[1], given[6], given[7], starts.buf, size};
    PyObject *found = NULL;
    if (PyUnicode_GetLength(given[0]) != size || PyList_Size(given[1]) != size || PyList_Size(given[6]) != size ||
        starts.len != (size + 1) * (Py_ssize_t)sizeof(int64_t))
        PyErr_SetString(PyExc_ValueError, "expected as many classes, forms and words, and one start more");
    else
        found = all_stated((Reader *)self, given[0], given[2], given[3], given[4], &in, (const uint8_t *)classes);
    PyBuffer_Release(&starts);
    return found;
}

static void reader_free(PyObject *self) {
    Reader *reader = (Reader *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF((PyObject *)reader->make);
    Py_DECREF(reader->spoken);
    Py_DECREF(reader->ordered);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* A reader: what makes statements, what makes what was spoken of, what puts statements in order; the classes that end a sentence,
   and those that may say something; those of a noun, of what says nothing, of "is", of "it" and of a length; how long sentences are. */
static PyObject *patterns_reader(PyObject *module, PyObject *given) {
    PyObject *make, *spoken, *ordered;
    const char *ends, *says, *others;
    Py_ssize_t most;
    if (!PyArg_ParseTuple(given, "O!OOsssn", MakerType, &make, &spoken, &ordered, &ends, &says, &others, &most)) return NULL;
    if (strlen(others) != 5 || ((Maker *)make)->size != 8) {
        PyErr_SetString(PyExc_ValueError, "expected five classes, and what makes records of eight fields");
        return NULL;
    }
    Reader *reader = PyObject_New(Reader, ReaderType);
    if (!reader) return NULL;
    memset(reader->kinds, 0, sizeof reader->kinds);
    for (; *ends; ends++) reader->kinds[(uint8_t)*ends] |= ENDS;
    for (; *says; says++) reader->kinds[(uint8_t)*says] |= SAYS;
    reader->noun = others[0], reader->skipped = others[1], reader->is = others[2], reader->it = others[3], reader->amount = others[4];
    reader->most = most;
    reader->make = (Maker *)Py_NewRef(make);
    reader->spoken = Py_NewRef(spoken);
    reader->ordered = Py_NewRef(ordered);
    return (PyObject *)reader;
}

static PyMethodDef maker_methods[] = {
    {"make", FAST(maker_make)},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot maker_slots[] = {{Py_tp_dealloc, maker_free}, {Py_tp_methods, maker_methods}, {0, NULL}};
static PyType_Spec maker_spec = {
    "_patterns.Maker", sizeof(Maker), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, maker_slots,
};

static PyMethodDef reader_methods[] = {
    {"read", FAST(reader_read)},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot reader_slots[] = {{Py_tp_dealloc, reader_free}, {Py_tp_methods, reader_methods}, {0, NULL}};
static PyType_Spec reader_spec = {
    "_patterns.Reader", sizeof(Reader), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, reader_slots,
};
