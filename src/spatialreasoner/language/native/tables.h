/* Of `patterns.c`: tables of words. What is known of each word is found by Python once, and then looked up by the word's bytes
   without making a text of it. */

enum { SLOTS = 1 << 14, MOST_WORDS = SLOTS / 2, MOST_COLUMNS = 4, LETTERS = 27, LONGEST_WORD = 40, MOST_BYTES = 1 << 26 };
enum how_joined { LIST, TEXT, SUMS };

typedef union {
    PyObject *object; /* of a list: the row has it */
    char character;   /* of a text */
    int64_t number;   /* of sums */
} Value;

typedef struct {
    PyObject *word, *row; /* a row has one value for each column */
    const char *bytes;    /* of the word */
    uint32_t hash, size : 26, called : 6; /* `called`: of the hash of what it is called, the lowest bits */
    Value values[MOST_COLUMNS];
} Entry; /* as large as a line of the cache */

typedef struct {
    PyObject_HEAD
    PyObject *find, *wanted; /* makes the row of a word; the words that were wanted last */
    uint64_t wanted_by_hash; /* a bit for the hash of each of them: of most words it tells that they are not wanted */
    Py_ssize_t words, room;
    int columns;
    enum how_joined how[MOST_COLUMNS];
    uint16_t *slots; /* the number of an entry, from 1 */
    Entry *entries;  /* in the order in which they came, so that little memory is touched */
    uint32_t marked[LETTERS][LETTERS]; /* by the first two characters: the third ones with which a word may be more than letters */
} Table;

static PyTypeObject *TableType;

static void table_clear(Table *self) {
    Entry *entries = self->entries;
    Py_ssize_t words = self->words;
    memset(self->slots, 0, SLOTS * sizeof *self->slots);
    self->entries = NULL;
    self->words = self->room = 0;
    for (Py_ssize_t i = 1; i <= words; i++) { /* what Python does meanwhile is done with an empty table */
        Py_DECREF(entries[i].word);
        Py_DECREF(entries[i].row);
    }
    PyMem_Free(entries);
}

static uint32_t hash_of(const char *bytes, Py_ssize_t size) {
    uint32_t hash = 2166136261u; /* FNV-1a, mixed, as the lowest bits alone tell the slot */
    for (Py_ssize_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)bytes[i]) * 16777619u;
    return hash ^ hash >> 15;
}

/* The slot of a word, or the free one where it belongs: some are free always. */
static uint16_t *slot_of(const Table *self, const char *bytes, Py_ssize_t size, uint32_t hash) {
    for (uint32_t at = hash;; at++) {
        uint16_t *slot = self->slots + (at & (SLOTS - 1));
        if (!*slot) return slot;
        const Entry *entry = self->entries + *slot;
        if (entry->hash == hash && entry->size == size && !memcmp(entry->bytes, bytes, size)) return slot;
    }
}

/* Makes room for one more entry; -1 with an error. */
static int make_entry(Table *self) {
    if (self->words + 1 < self->room) return 0;
    Py_ssize_t room = self->room ? 2 * self->room : 256;
    Entry *entries = PyMem_Realloc(self->entries, room * sizeof *entries);
    if (!entries) {
        PyErr_NoMemory();
        return -1;
    }
    self->entries = entries;
    self->room = room;
    return 0;
}

/* Of the hash of a text, the lowest bits; -1 of what is no text that has bytes. */
static int called(PyObject *text) {
    Py_ssize_t size;
    const char *bytes = PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (!bytes) PyErr_Clear();
    return bytes ? (int)(hash_of(bytes, size) & 63) : -1;
}

/* Takes the values of a row; -1 with an error. */
static int take_row(const Table *self, PyObject *row, Value *values) {
    if (!PyTuple_Check(row) || PyTuple_Size(row) != self->columns) {
        PyErr_Format(PyExc_ValueError, "expected a tuple with a value for each of %d columns; got %R", self->columns, row);
        return -1;
    }
    for (int i = 0; i < self->columns; i++) {
        PyObject *value = PyTuple_GetItem(row, i);
        const char *text = self->how[i] == TEXT ? PyUnicode_AsUTF8AndSize(value, NULL) : "";
        if (self->how[i] == LIST)
            values[i].object = value;
        else if (self->how[i] == TEXT)
            values[i].character = text ? *text : 0;
        else
            values[i].number = PyLong_AsLong(value);
        if (PyErr_Occurred()) return -1;
    }
    return 0;
}

/* What is known of a word, until the next one is looked up; NULL with an error, or without one where it is too long. */
static const Entry *entry_of(Table *self, const char *bytes, Py_ssize_t size) {
    if (size >= MOST_BYTES) return NULL;
    uint32_t hash = hash_of(bytes, size);
    uint16_t *slot = slot_of(self, bytes, size, hash);
    if (*slot) return self->entries + *slot;
    Entry made = {0};
    PyObject *word = PyUnicode_FromStringAndSize(bytes, size);
    PyObject *row = word ? PyObject_CallFunctionObjArgs(self->find, word, NULL) : NULL;
    if (row && take_row(self, row, made.values) < 0) Py_CLEAR(row);
    if (row && self->words >= MOST_WORDS) table_clear(self);
    if (row && make_entry(self) < 0) Py_CLEAR(row);
    if (row) {
        slot = slot_of(self, bytes, size, hash); /* again: Python may have looked up words meanwhile */
        if (!*slot) {
            *slot = ++self->words;
            made.word = Py_NewRef(word), made.row = Py_NewRef(row);
            made.bytes = PyUnicode_AsUTF8AndSize(word, NULL), made.size = size, made.hash = hash;
            int bits = self->columns ? called(PyTuple_GetItem(row, 0)) : 0;
            made.called = bits < 0 ? 0 : bits; /* it may be wanted only where all are looked for */
            self->entries[*slot] = made;
        }
    }
    Py_XDECREF(word);
    Py_XDECREF(row);
    return row ? self->entries + *slot : NULL;
}

/* The number of a blank or a letter; -1 of anything else. */
static int letter(uint8_t character) {
    return character == ' ' ? 0 : character >= 'a' && character <= 'z' ? character - 'a' + 1 : -1;
}

/* Where a word ends that is letters and no more, whatever the pattern: most are, and need not be looked for. 0 if it may be more. */
static Py_ssize_t plain_end(const Table *self, const Subject *in, Py_ssize_t at) {
    Py_ssize_t begin = at + (in->text[at] == ' '), end = begin;
    if (begin + 3 > in->end) return 0;
    int first = letter(in->text[begin]), second = letter(in->text[begin + 1]), third = letter(in->text[begin + 2]);
    if (first < 1 || second < 0 || third < 0 || self->marked[first][second] >> third & 1) return 0;
    while (end < in->end && end - begin <= LONGEST_WORD && letter(in->text[end]) > 0) end++;
    int ends = end - begin <= LONGEST_WORD && (end == in->end || (in->text[end] != '\'' && in->text[end] != '-'));
    return ends ? end : 0;
}

/* The columns of a text while they are found; what lists hold is owned. */
typedef struct {
    Value *values[MOST_COLUMNS];
    Py_ssize_t size, room;
    PyObject *wanted; /* the words that are wanted */
    uint64_t by_hash; /* as the table has it of them */
    PyObject *numbers; /* of the words that are wanted */
} Columns;

static int make_room(const Table *table, Columns *out) {
    Py_ssize_t room = out->room ? 2 * out->room : 256;
    for (int i = 0; i < table->columns; i++) {
        Value *values = PyMem_Realloc(out->values[i], room * sizeof(Value));
        if (!values) return -1;
        out->values[i] = values;
    }
    out->room = room;
    return 0;
}

/* Whether a word is among those that are wanted; -1 with an error. */
static int is_wanted(const Columns *out, const Entry *entry) {
    if (!(out->by_hash >> entry->called & 1)) return 0;
    if (PyDict_GetItemWithError(out->wanted, PyTuple_GetItem(entry->row, 0))) return 1;
    return PyErr_Occurred() ? -1 : 0;
}

/* Adds a word to the columns; -1 with an error. */
static int take_word(const Table *table, const Entry *entry, Columns *out) {
    if (out->size == out->room && make_room(table, out) < 0) return -1;
    for (int i = 0; i < table->columns; i++) {
        out->values[i][out->size] = entry->values[i];
        if (table->how[i] == LIST) Py_INCREF(entry->values[i].object);
    }
    Py_ssize_t number = out->size++;
    int wanted = is_wanted(out, entry);
    if (wanted < 1) return wanted;
    PyObject *one = PyLong_FromSsize_t(number);
    int added = one ? PyList_Append(out->numbers, one) : -1;
    Py_XDECREF(one);
    return added;
}

/* The words that a pattern finds; -1 with an error, or without one where PCRE2 gave up, or found an empty word. */
static int find_words(Pattern *pattern, Table *table, PyObject *const *given, Columns *out) {
    Subject in;
    if (!subject_of(given, 1, &in)) return -1;
    for (Py_ssize_t at = 0; at < in.end;) {
        Py_ssize_t begin = at, end = plain_end(table, &in, at);
        int found = end ? 1 : find(pattern, SEARCH, &in, at, 0);
        if (found == 0) break;
        if (!end && found > 0) begin = pattern->places[0], end = pattern->places[1];
        const Entry *entry = begin < end ? entry_of(table, (const char *)in.text + begin, end - begin) : NULL;
        if (!entry || take_word(table, entry, out) < 0) return -1;
        at = end;
    }
    return 0;
}

/* One column, as a list, as one text of ASCII characters, or as the sums of its numbers before each word; takes what lists hold. */
static PyObject *joined(const Columns *out, int column, enum how_joined how) {
    Value *values = out->values[column];
    if (how == LIST) {
        PyObject *list = PyList_New(out->size);
        for (Py_ssize_t i = 0; list && i < out->size; i++) {
            PyList_SetItem(list, i, values[i].object);
            values[i].object = NULL;
        }
        return list;
    }
    if (how == SUMS) {
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (out->size + 1) * (Py_ssize_t)sizeof(int64_t));
        int64_t *sums = bytes ? (int64_t *)PyBytes_AsString(bytes) : NULL, sum = 0;
        for (Py_ssize_t i = 0; sums && i < out->size; sum += values[i++].number) sums[i] = sum;
        if (sums) sums[out->size] = sum;
        return bytes;
    }
    char *characters = (char *)values; /* no further than the values that are read already */
    for (Py_ssize_t i = 0; i < out->size; i++) characters[i] = values[i].character;
    return PyUnicode_DecodeASCII(characters ? characters : "", out->size, NULL);
}

/* Keeps which words are wanted. */
static void want(Table *self, PyObject *wanted) {
    if (self->wanted == wanted) return;
    PyObject *word, *meaning, *before = self->wanted;
    Py_ssize_t at = 0;
    uint64_t by_hash = 0;
    while (PyDict_Next(wanted, &at, &word, &meaning)) {
        int bits = called(word);
        by_hash |= bits < 0 ? ~(uint64_t)0 : (uint64_t)1 << bits;
    }
    self->wanted_by_hash = by_hash;
    self->wanted = Py_NewRef(wanted);
    Py_XDECREF(before);
}

/* Of the words that a pattern finds: each column of a table, and which of the words are among some that are wanted: a dictionary,
   which does not change any more. None where PCRE2 gives up. */
static PyObject *pattern_columns(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    if (count != 3 || !PyObject_TypeCheck(given[1], TableType) || !PyDict_Check(given[2])) {
        PyErr_SetString(PyExc_TypeError, "expected a text, a table, and a dictionary of wanted words");
        return NULL;
    }
    Table *table = (Table *)given[1];
    want(table, given[2]);
    Columns out = {.wanted = given[2], .by_hash = table->wanted_by_hash, .numbers = PyList_New(0)};
    PyObject *found = NULL;
    if (out.numbers && find_words((Pattern *)self, table, given, &out) == 0) {
        found = PyTuple_New(table->columns + 1);
        for (int i = 0; found && i < table->columns; i++) {
            PyObject *column = joined(&out, i, table->how[i]);
            if (!column || PyTuple_SetItem(found, i, column) < 0) Py_CLEAR(found);
        }
        if (found) PyTuple_SetItem(found, table->columns, Py_NewRef(out.numbers));
    }
    for (int i = 0; i < table->columns; i++) {
        for (Py_ssize_t k = 0; table->how[i] == LIST && k < out.size; k++) Py_XDECREF(out.values[i][k].object);
        PyMem_Free(out.values[i]);
    }
    Py_XDECREF(out.numbers);
    return found || PyErr_Occurred() ? found : Py_NewRef(Py_None);
}

static void table_free(PyObject *self) {
    Table *table = (Table *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (table->slots) table_clear(table);
    PyMem_Free(table->slots);
    Py_XDECREF(table->find);
    Py_XDECREF(table->wanted);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* How the values of a column are joined; -1 with an error. */
static int how_of(PyObject *name) {
    static const char *const names[] = {[LIST] = "list", [TEXT] = "text", [SUMS] = "sums"};
    const char *given = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : "";
    for (int i = LIST; given && i <= SUMS; i++)
        if (!strcmp(given, names[i])) return i;
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "expected 'list', 'text' or 'sums'; got %R", name);
    return -1;
}

/* A table for a pattern: what makes the row of a word, of each column whether it is a "list", a "text" or "sums", and with what words begin that
   may be more than letters. */
static PyObject *pattern_table(PyObject *self, PyObject *given) {
    PyObject *find, *columns, *marked;
    if (!PyArg_ParseTuple(given, "OO!O!", &find, &PyTuple_Type, &columns, &PyTuple_Type, &marked)) return NULL;
    Py_ssize_t count = PyTuple_Size(columns);
    if (count > MOST_COLUMNS) return PyErr_Format(PyExc_ValueError, "expected at most %d columns; got %zd", MOST_COLUMNS, count);
    Table *table = PyObject_New(Table, TableType);
    if (!table) return NULL;
    memset((char *)table + sizeof(PyObject), 0, sizeof(Table) - sizeof(PyObject));
    table->find = Py_NewRef(find);
    table->columns = (int)count;
    table->slots = PyMem_Calloc(SLOTS, sizeof *table->slots);
    if (!table->slots) PyErr_NoMemory();
    for (int i = 0; !PyErr_Occurred() && i < table->columns; i++) {
        int how = how_of(PyTuple_GetItem(columns, i));
        table->how[i] = how < 0 ? LIST : how;
    }
    for (Py_ssize_t i = 0; !PyErr_Occurred() && i < PyTuple_Size(marked); i++) {
        Py_ssize_t size;
        const char *begin = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(marked, i), &size);
        int first = begin && size > 2 ? letter(begin[0]) : -1, second = first < 0 ? -1 : letter(begin[1]);
        if (second >= 0 && letter(begin[2]) >= 0) table->marked[first][second] |= 1u << letter(begin[2]);
    }
    if (!PyErr_Occurred()) return (PyObject *)table;
    Py_DECREF((PyObject *)table);
    return NULL;
}

static PyType_Slot table_slots[] = {{Py_tp_dealloc, table_free}, {0, NULL}};
static PyType_Spec table_spec = {
    "_patterns.Table", sizeof(Table), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, table_slots,
};
