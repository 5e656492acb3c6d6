/* Regular expressions by the just-in-time compiler of PCRE2, for `engine.py`: patterns and matches with the methods of Python's.

   A pattern has two forms: one for texts of ASCII, and one for all others, in which letters and blanks of every script count.
   What cannot be written so, and whatever PCRE2 gives up on, goes to the same pattern of Python's own, which `slow` makes when it
   is first needed. PCRE2 is opened while running, so that nothing of it is needed to build this. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sieve.h"

#define FAST(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL

/* PCRE2, as much of it as is used, by its own names without the width of a character */

typedef struct code code;
typedef struct matched matched;

enum { NOTEMPTY_ATSTART = 0x8, NO_UTF_CHECK = 0x40000000, JIT_COMPLETE = 0x1, NEWLINE_LF = 2, ERROR_NOMATCH = -1 };
enum { CAPTURECOUNT = 4, NAMECOUNT = 17, NAMEENTRYSIZE, NAMETABLE };
static const uint32_t ANCHORS[] = {0, 0x80000000u, 0x80000000u | 0x20000000u};
static const size_t UNSET = ~(size_t)0;

static code *(*compile)(const uint8_t *, size_t, uint32_t, int *, size_t *, void *);
static int (*jit_compile)(code *, uint32_t);
static int (*jit_match)(const code *, const uint8_t *, size_t, size_t, uint32_t, matched *, void *);
static matched *(*match_data_create_from_pattern)(const code *, void *);
static size_t *(*get_ovector_pointer)(matched *);
static int (*pattern_info)(const code *, uint32_t, void *);
static void (*code_free)(code *);
static void (*match_data_free)(matched *);
static void *(*compile_context_create)(void *);
static int (*set_newline)(void *, uint32_t);
static void *context; /* in which a line feed alone ends a line */

static int open_pcre2(void) {
    static const char *files[] = {"libpcre2-8.so.0", "libpcre2-8.0.dylib", "/opt/homebrew/lib/libpcre2-8.0.dylib"};
    void *library = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files && !library; i++) library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return 0;
#define FIND(name)                                                      \
    *(void **)&name = dlsym(library, "pcre2_" #name "_8"); \
    if (!name) return 0
    FIND(compile);
    FIND(jit_compile);
    FIND(jit_match);
    FIND(match_data_create_from_pattern);
    FIND(get_ovector_pointer);
    FIND(pattern_info);
    FIND(code_free);
    FIND(match_data_free);
    FIND(compile_context_create);
    FIND(set_newline);
    context = compile_context_create(NULL);
    return context && set_newline(context, NEWLINE_LF) == 0;
}

/* Patterns and matches */

enum how { SEARCH, MATCH, FULLMATCH };

enum { UNKNOWN = -1, UNASKED = -2 };

typedef struct {
    PyObject_HEAD
    PyObject *source, *write, *count, *slow; /* what it is; what writes it for PCRE2, what numbers it, what makes it in Python */
    PyObject *groupindex;                    /* the number of each named group */
    uint32_t flags, options;                 /* as Python has them, and as PCRE2 has them */
    int groups, number;                      /* in the sieve, from when it is asked for */
    code *codes[2][3]; /* by form and by how they match, each made when first used */
    matched *found;
    const size_t *places;
} Pattern;

typedef struct {
    PyObject_VAR_HEAD
    PyObject *string;
    Pattern *re;
    Py_ssize_t places[1]; /* begin and end of the match and of each group; -1 where a group takes no part */
} Match;

/* Of the last text that is not ASCII: the byte at which each character begins, and the character that begins at a byte. */
static struct {
    PyObject *text;
    Py_ssize_t *bytes, *characters;
} wide;

/* What is searched, in bytes. */
typedef struct {
    PyObject *string;
    const uint8_t *text;
    Py_ssize_t size, begin, end;
    int is_wide;
} Subject;

static PyTypeObject *PatternType, *MatchType;

static int widen(const Subject *in) {
    if (wide.text == in->string) return 1;
    Py_CLEAR(wide.text);
    PyMem_Free(wide.bytes);
    PyMem_Free(wide.characters);
    wide.bytes = PyMem_Malloc((PyUnicode_GetLength(in->string) + 1) * sizeof *wide.bytes);
    wide.characters = PyMem_Malloc((in->size + 1) * sizeof *wide.characters);
    if (!wide.bytes || !wide.characters) return 0;
    Py_ssize_t character = 0;
    for (Py_ssize_t i = 0; i <= in->size; i++)
        if (i == in->size || (in->text[i] & 0xC0) != 0x80) {
            wide.bytes[character] = i;
            wide.characters[i] = character++;
        }
    wide.text = Py_NewRef(in->string);
    return 1;
}

/* The character at a byte of what is searched. */
static Py_ssize_t place_of(const Subject *in, size_t at) {
    return at == UNSET ? -1 : in->is_wide ? wide.characters[at] : (Py_ssize_t)at;
}

/* Learn which groups a pattern has; 0 with an error where that fails. */
static int know_groups(Pattern *self, const code *made) {
    uint32_t groups, count, size;
    const uint8_t *names;
    pattern_info(made, CAPTURECOUNT, &groups);
    pattern_info(made, NAMECOUNT, &count);
    pattern_info(made, NAMEENTRYSIZE, &size);
    pattern_info(made, NAMETABLE, &names);
    self->groups = groups;
    for (uint32_t i = 0; i < count; i++, names += size) {
        PyObject *number = PyLong_FromLong(names[0] << 8 | names[1]);
        int failed = !number || PyDict_SetItemString(self->groupindex, (const char *)names + 2, number) < 0;
        Py_XDECREF(number);
        if (failed) return 0;
    }
    self->found = match_data_create_from_pattern(made, NULL);
    self->places = get_ovector_pointer(self->found);
    return 1;
}

static code *code_for(Pattern *self, int is_wide, enum how how) {
    if (self->codes[is_wide][how]) return self->codes[is_wide][how];
    int error = 0;
    size_t at;
    Py_ssize_t length;
    PyObject *written = PyObject_CallFunction(self->write, "OIi", self->source, self->flags, is_wide);
    const char *source = written ? PyUnicode_AsUTF8AndSize(written, &length) : NULL;
    code *made = source ? compile((const uint8_t *)source, length, self->options | ANCHORS[how], &error, &at, context) : NULL;
    Py_XDECREF(written);
    if (made && (jit_compile(made, JIT_COMPLETE) || (!self->found && !know_groups(self, made)))) {
        code_free(made);
        made = NULL;
    }
    if (!made && !PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "PCRE2 cannot compile %R: error %d", self->source, error);
    return self->codes[is_wide][how] = made;
}

/* 1 where there is a match, 0 where there is none, -1 where PCRE2 gave up. */
static int find(Pattern *self, enum how how, const Subject *in, Py_ssize_t from, uint32_t options) {
    code *code = code_for(self, in->is_wide, how);
    if (!code || (in->is_wide && !widen(in))) { /* the code may be made here, by Python, which may search another text */
        PyErr_Clear();
        return -1;
    }
    int count = jit_match(code, in->text, in->end, from, options | NO_UTF_CHECK, self->found, NULL);
    return count > 0 ? 1 : count == ERROR_NOMATCH ? 0 : -1;
}

/* The text and the place that a method is given; 0 where they are not for PCRE2. */
static int subject_of(PyObject *const *given, Py_ssize_t count, Subject *in) {
    Py_ssize_t length;
    if (count < 1 || count > 3) return 0;
    in->text = (const uint8_t *)PyUnicode_AsUTF8AndSize(given[0], &length);
    if (!in->text) {
        PyErr_Clear();
        return 0;
    }
    in->string = given[0];
    in->size = length;
    length = PyUnicode_GetLength(given[0]);
    in->is_wide = length != in->size;
    in->begin = count > 1 ? PyLong_AsSsize_t(given[1]) : 0;
    in->end = count > 2 ? PyLong_AsSsize_t(given[2]) : length;
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    if (in->begin < 0) in->begin = 0;
    if (in->end > length) in->end = length;
    if (in->begin > in->end) return 0;
    if (!in->is_wide) return 1;
    if (!widen(in)) return 0;
    in->begin = wide.bytes[in->begin];
    in->end = wide.bytes[in->end];
    return 1;
}

static PyObject *slowly(Pattern *self, const char *name, PyObject *const *given, Py_ssize_t count, PyObject *keywords) {
    PyObject *pattern = PyObject_CallFunction(self->slow, "OI", self->source, self->flags);
    PyObject *method = NULL, *arguments = NULL, *named = NULL, *result = NULL;
    if (pattern) method = PyObject_GetAttrString(pattern, name);
    if (method) arguments = PyTuple_New(count);
    if (arguments) named = PyDict_New();
    if (named) {
        for (Py_ssize_t i = 0; i < count; i++) PyTuple_SetItem(arguments, i, Py_NewRef(given[i]));
        for (Py_ssize_t i = 0; keywords && i < PyTuple_Size(keywords); i++)
            PyDict_SetItem(named, PyTuple_GetItem(keywords, i), given[count + i]);
        result = PyObject_Call(method, arguments, named);
    }
    Py_XDECREF(pattern);
    Py_XDECREF(method);
    Py_XDECREF(arguments);
    Py_XDECREF(named);
    return result;
}

static PyObject *match_of(Pattern *self, PyObject *text, const Subject *in) {
    Py_ssize_t count = 2 * (self->groups + 1);
    Match *match = PyObject_NewVar(Match, MatchType, count);
    if (!match) return NULL;
    match->string = Py_NewRef(text);
    match->re = (Pattern *)Py_NewRef((PyObject *)self);
    for (Py_ssize_t i = 0; i < count; i++) match->places[i] = place_of(in, self->places[i]);
    return (PyObject *)match;
}

/* Learn the number of a pattern. */
static void ask_number(Pattern *self) {
    PyObject *number = PyObject_CallFunction(self->count, "OI", self->source, self->flags);
    self->number = number ? (int)PyLong_AsLong(number) : UNKNOWN;
    Py_XDECREF(number);
    PyErr_Clear(); /* without it every text is searched */
}

/* Whether a pattern may match: it cannot where a text of ASCII holds none of its words. Where a text is not searched to its end,
   words may end there that go on in the text. To match at one place takes less time than to look for words in a text. */
static int may_match(Pattern *self, enum how how, const Subject *in) {
    if (self->number == UNASKED) ask_number(self);
    if (self->number < 0 || self->number >= sieve.patterns || in->is_wide || in->end < in->size) return 1;
    const uint64_t *may = remembered(in->string);
    if (!may && how == SEARCH) may = sift(in->string, in->text, in->size);
    return !may || may[self->number >> 6] >> (self->number & 63) & 1;
}

static PyObject *once(Pattern *self, enum how how, const char *name, PyObject *const *given, Py_ssize_t count) {
    Subject in;
    int found = -1;
    if (subject_of(given, count, &in)) found = may_match(self, how, &in) ? find(self, how, &in, in.begin, 0) : 0;
    if (found < 0) return slowly(self, name, given, count, NULL);
    return found ? match_of(self, given[0], &in) : Py_NewRef(Py_None);
}

static PyObject *pattern_search(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    return once((Pattern *)self, SEARCH, "search", given, count);
}

static PyObject *pattern_match(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    return once((Pattern *)self, MATCH, "match", given, count);
}

static PyObject *pattern_fullmatch(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    return once((Pattern *)self, FULLMATCH, "fullmatch", given, count);
}

/* What a list holds of each match. */
typedef PyObject *(*Taken)(Pattern *, PyObject *text, const Subject *);

static PyObject *whole_of(Pattern *self, PyObject *text, const Subject *in) {
    return PyUnicode_Substring(text, place_of(in, self->places[0]), place_of(in, self->places[1]));
}

/* NULL without an error where Python would take a group, or all of several. */
static PyObject *words_of(Pattern *self, PyObject *text, const Subject *in) {
    return self->groups ? NULL : whole_of(self, text, in);
}

/* All matches in order: each is looked for where the last one ends, and after an empty one it is not empty there, too. NULL
   without an error where PCRE2 gave up. */
static PyObject *all(Pattern *self, PyObject *const *given, Py_ssize_t count, Taken taken) {
    Subject in;
    if (!subject_of(given, count, &in)) return NULL;
    PyObject *list = PyList_New(0);
    uint32_t options = 0;
    Py_ssize_t at = may_match(self, SEARCH, &in) ? in.begin : in.end + 1;
    while (list && at <= in.end) {
        int found = find(self, SEARCH, &in, at, options);
        if (found == 0) break;
        PyObject *one = found > 0 ? taken(self, given[0], &in) : NULL;
        if (!one || PyList_Append(list, one) < 0) {
            Py_CLEAR(list);
        } else {
            at = self->places[1];
            options = (Py_ssize_t)self->places[0] == at ? NOTEMPTY_ATSTART : 0;
        }
        Py_XDECREF(one);
    }
    return list;
}

static PyObject *pattern_findall(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *found = all((Pattern *)self, given, count, words_of);
    return found || PyErr_Occurred() ? found : slowly((Pattern *)self, "findall", given, count, NULL);
}

static PyObject *pattern_finditer(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *found = all((Pattern *)self, given, count, match_of);
    if (!found) return PyErr_Occurred() ? NULL : slowly((Pattern *)self, "finditer", given, count, NULL);
    PyObject *each = PyObject_GetIter(found);
    Py_DECREF(found);
    return each;
}

/* The pieces between the matches in a part of a text, each with the match behind it, as (begin, end); None where PCRE2 gave up. */
static PyObject *pattern_parted(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    Pattern *pattern = (Pattern *)self;
    Subject in;
    if (count != 3 || !subject_of(given, count, &in)) return Py_NewRef(Py_None);
    PyObject *pieces = PyList_New(0);
    uint32_t options = 0;
    Py_ssize_t at = in.begin;
    int may = may_match(pattern, SEARCH, &in);
    while (pieces) {
        int found = may ? find(pattern, SEARCH, &in, at, options) : 0;
        if (found < 0) {
            Py_DECREF(pieces);
            return Py_NewRef(Py_None);
        }
        Py_ssize_t end = found ? (Py_ssize_t)pattern->places[1] : in.end;
        PyObject *piece = end > at ? Py_BuildValue("nn", place_of(&in, at), place_of(&in, end)) : NULL;
        if (end > at && (!piece || PyList_Append(pieces, piece) < 0)) Py_CLEAR(pieces);
        Py_XDECREF(piece);
        if (!found) break;
        options = (Py_ssize_t)pattern->places[0] == end ? NOTEMPTY_ATSTART : 0;
        at = end;
    }
    return pieces;
}

/* What comes in the place of a match: a text, or what a function makes of it; what was made of one that is the same may be known. */
static PyObject *instead_of(Match *match, PyObject *between, PyObject *known) {
    if (PyUnicode_Check(between)) return Py_NewRef(between);
    if (!known) return PyObject_CallFunctionObjArgs(between, match, NULL);
    PyObject *whole = PyUnicode_Substring(match->string, match->places[0], match->places[1]);
    PyObject *instead = whole ? Py_XNewRef(PyDict_GetItemWithError(known, whole)) : NULL;
    if (!instead && !PyErr_Occurred()) {
        instead = PyObject_CallFunctionObjArgs(between, match, NULL);
        if (instead && PyDict_SetItem(known, whole, instead) < 0) Py_CLEAR(instead);
    }
    Py_XDECREF(whole);
    return instead;
}

/* A text cut at its matches; of what is `between`, if anything, one comes in the place of each. */
static PyObject *cut(PyObject *text, PyObject *found, PyObject *between, PyObject *known) {
    PyObject *parts = PyList_New(0);
    Py_ssize_t last = 0, count = PyList_Size(found);
    for (Py_ssize_t i = 0; parts && i <= count; i++) {
        Match *match = i < count ? (Match *)PyList_GetItem(found, i) : NULL;
        PyObject *before = PyUnicode_Substring(text, last, match ? match->places[0] : PY_SSIZE_T_MAX), *instead = NULL;
        if (match && between) instead = instead_of(match, between, known);
        last = match ? match->places[1] : last;
        if (!before || PyList_Append(parts, before) < 0 || (match && between && (!instead || PyList_Append(parts, instead) < 0)))
            Py_CLEAR(parts);
        Py_XDECREF(before);
        Py_XDECREF(instead);
    }
    return parts;
}

static PyObject *pattern_split(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords) {
    Pattern *pattern = (Pattern *)self;
    PyObject *found = count == 1 && !keywords ? all(pattern, given, 1, match_of) : NULL;
    if (pattern->groups) Py_CLEAR(found); /* which Python puts between the pieces */
    if (!found) return PyErr_Occurred() ? NULL : slowly(pattern, "split", given, count, keywords);
    PyObject *parts = cut(given[0], found, NULL, NULL);
    Py_DECREF(found);
    return parts;
}

/* The text in which others come in the place of what is found, which is no longer needed then. */
static PyObject *replaced(PyObject *text, PyObject *found, PyObject *between, PyObject *known) {
    PyObject *parts = PyList_Size(found) ? cut(text, found, between, known) : NULL;
    PyObject *nothing = parts ? PyUnicode_FromString("") : NULL;
    PyObject *whole = nothing ? PyUnicode_Join(nothing, parts) : PyErr_Occurred() ? NULL : Py_NewRef(text);
    Py_XDECREF(parts);
    Py_XDECREF(nothing);
    Py_DECREF(found);
    return whole;
}

static PyObject *pattern_sub(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords) {
    Pattern *pattern = (Pattern *)self;
    PyObject *found = count == 2 ? all(pattern, given + 1, 1, match_of) : NULL;
    int some = found && PyList_Size(found);
    int refers = some && PyUnicode_Check(given[0]) && PyUnicode_FindChar(given[0], '\\', 0, PY_SSIZE_T_MAX, 1) >= 0;
    if (!found || (keywords && some) || refers) { /* where there is something to replace, how is for Python to say */
        Py_XDECREF(found);
        return PyErr_Occurred() ? NULL : slowly(pattern, "sub", given, count, keywords);
    }
    return replaced(given[1], found, given[0], NULL);
}

/* A text with, for each match, what a dictionary has for what it is, or what a function makes of it, which the dictionary is given;
   None where PCRE2 gave up. */
static PyObject *pattern_rewritten(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    if (count != 3 || !PyDict_Check(given[1]))
        return PyErr_Format(PyExc_TypeError, "expected a text, a dictionary, and what makes a text of a match");
    PyObject *found = all((Pattern *)self, given, 1, match_of);
    return found ? replaced(given[0], found, given[2], given[1]) : PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* What all matches in a text are; None where PCRE2 gave up. */
static PyObject *pattern_wholes(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    PyObject *found = all((Pattern *)self, given, count, whole_of);
    return found || PyErr_Occurred() ? found : Py_NewRef(Py_None);
}

#include "tables.h"

static PyObject *pattern_groupindex(PyObject *self, void *unused) {
    if (!code_for((Pattern *)self, 0, SEARCH)) PyErr_Clear();
    return Py_NewRef(((Pattern *)self)->groupindex);
}

static PyObject *pattern_source(PyObject *self, void *unused) { return Py_NewRef(((Pattern *)self)->source); }
static PyObject *pattern_flags(PyObject *self, void *unused) { return PyLong_FromUnsignedLong(((Pattern *)self)->flags); }

static void pattern_free(PyObject *self) {
    Pattern *pattern = (Pattern *)self;
    PyTypeObject *type = Py_TYPE(self);
    for (int i = 0; i < 6; i++)
        if (pattern->codes[i / 3][i % 3]) code_free(pattern->codes[i / 3][i % 3]);
    if (pattern->found) match_data_free(pattern->found);
    Py_XDECREF(pattern->source);
    Py_XDECREF(pattern->write);
    Py_XDECREF(pattern->count);
    Py_XDECREF(pattern->slow);
    Py_XDECREF(pattern->groupindex);
    PyObject_Free(self);
    Py_DECREF(type);
}

/* The number of a group by number or name; -1 with an error where there is none. */
static Py_ssize_t number_of(Match *self, PyObject *group) {
    PyObject *number = PyLong_Check(group) ? group : PyDict_GetItemWithError(self->re->groupindex, group);
    Py_ssize_t found = number ? PyLong_AsSsize_t(number) : -1;
    if (found >= 0 && found <= self->re->groups) return found;
    if (!PyErr_Occurred()) PyErr_SetString(PyExc_IndexError, "no such group");
    return -1;
}

static PyObject *group_of(Match *self, Py_ssize_t number, PyObject *otherwise) {
    Py_ssize_t begin = self->places[2 * number];
    return begin < 0 ? Py_NewRef(otherwise) : PyUnicode_Substring(self->string, begin, self->places[2 * number + 1]);
}

static PyObject *match_item(PyObject *self, PyObject *group) {
    Py_ssize_t number = number_of((Match *)self, group);
    return number < 0 ? NULL : group_of((Match *)self, number, Py_None);
}

static PyObject *match_group(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    if (count == 0) return group_of((Match *)self, 0, Py_None);
    if (count == 1) return match_item(self, given[0]);
    PyObject *found = PyTuple_New(count);
    for (Py_ssize_t i = 0; found && i < count; i++) {
        PyObject *one = match_item(self, given[i]);
        if (!one || PyTuple_SetItem(found, i, one) < 0) Py_CLEAR(found);
    }
    return found;
}

static PyObject *match_groups(PyObject *self, PyObject *const *given, Py_ssize_t count) {
    int groups = ((Match *)self)->re->groups;
    PyObject *found = PyTuple_New(groups);
    for (int i = 0; found && i < groups; i++) {
        PyObject *one = group_of((Match *)self, i + 1, count ? given[0] : Py_None);
        if (!one || PyTuple_SetItem(found, i, one) < 0) Py_CLEAR(found);
    }
    return found;
}

static PyObject *match_groupdict(PyObject *self, PyObject *unused) {
    PyObject *found = PyDict_New(), *name, *number;
    Py_ssize_t at = 0;
    while (found && PyDict_Next(((Match *)self)->re->groupindex, &at, &name, &number)) {
        PyObject *one = group_of((Match *)self, PyLong_AsSsize_t(number), Py_None);
        if (!one || PyDict_SetItem(found, name, one) < 0) Py_CLEAR(found);
        Py_XDECREF(one);
    }
    return found;
}

/* Begin, end, or both, of a group. */
static PyObject *place(PyObject *self, PyObject *const *given, Py_ssize_t count, int which) {
    Py_ssize_t number = count ? number_of((Match *)self, given[0]) : 0;
    if (number < 0) return NULL;
    const Py_ssize_t *places = ((Match *)self)->places + 2 * number;
    if (which < 2) return PyLong_FromSsize_t(places[which]);
    PyObject *span = PyTuple_New(2);
    for (int i = 0; span && i < 2; i++) PyTuple_SetItem(span, i, PyLong_FromSsize_t(places[i]));
    return span;
}

static PyObject *match_start(PyObject *self, PyObject *const *given, Py_ssize_t count) { return place(self, given, count, 0); }
static PyObject *match_end(PyObject *self, PyObject *const *given, Py_ssize_t count) { return place(self, given, count, 1); }
static PyObject *match_span(PyObject *self, PyObject *const *given, Py_ssize_t count) { return place(self, given, count, 2); }

/* The name of the last group that takes part; groups within groups, where it would be the outer one, are not told apart. */
static PyObject *match_lastgroup(PyObject *self, void *unused) {
    Match *match = (Match *)self;
    PyObject *name, *number;
    Py_ssize_t at = 0, last = match->re->groups;
    while (last > 0 && match->places[2 * last] < 0) last--;
    while (PyDict_Next(match->re->groupindex, &at, &name, &number))
        if (PyLong_AsSsize_t(number) == last) return Py_NewRef(name);
    return Py_NewRef(Py_None);
}

static PyObject *match_re(PyObject *self, void *unused) { return Py_NewRef((PyObject *)((Match *)self)->re); }
static PyObject *match_string(PyObject *self, void *unused) { return Py_NewRef(((Match *)self)->string); }

static void match_free(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(((Match *)self)->string);
    Py_DECREF((PyObject *)((Match *)self)->re);
    PyObject_Free(self);
    Py_DECREF(type);
}

#include "naming.h"
#include "reading.h"

/* The module */

#define NAMED(function) (PyCFunction)(void (*)(void))function, METH_FASTCALL | METH_KEYWORDS, NULL

static PyMethodDef pattern_methods[] = {
    {"search", FAST(pattern_search)},     {"match", FAST(pattern_match)},       {"fullmatch", FAST(pattern_fullmatch)},
    {"findall", FAST(pattern_findall)},   {"finditer", FAST(pattern_finditer)}, {"split", NAMED(pattern_split)},
    {"sub", NAMED(pattern_sub)},          {"parted", FAST(pattern_parted)},     {"columns", FAST(pattern_columns)},
    {"rewritten", FAST(pattern_rewritten)}, {"wholes", FAST(pattern_wholes)},   {"table", pattern_table, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef pattern_values[] = {
    {"pattern", pattern_source, NULL, NULL, NULL},
    {"flags", pattern_flags, NULL, NULL, NULL},
    {"groupindex", pattern_groupindex, NULL, NULL, NULL},
    {NULL},
};
static PyType_Slot pattern_slots[] = {
    {Py_tp_dealloc, pattern_free}, {Py_tp_methods, pattern_methods}, {Py_tp_getset, pattern_values}, {0, NULL},
};
static PyType_Spec pattern_spec = {
    "_patterns.Pattern", sizeof(Pattern), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, pattern_slots,
};

static PyMethodDef match_methods[] = {
    {"group", FAST(match_group)}, {"groups", FAST(match_groups)}, {"groupdict", match_groupdict, METH_NOARGS, NULL},
    {"start", FAST(match_start)}, {"end", FAST(match_end)},       {"span", FAST(match_span)},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef match_values[] = {
    {"re", match_re, NULL, NULL, NULL},
    {"string", match_string, NULL, NULL, NULL},
    {"lastgroup", match_lastgroup, NULL, NULL, NULL},
    {NULL},
};
static PyType_Slot match_slots[] = {
    {Py_tp_dealloc, match_free}, {Py_tp_methods, match_methods},      {Py_tp_getset, match_values},
    {Py_mp_subscript, match_item}, {0, NULL},
};
static PyType_Spec match_spec = {
    "_patterns.Match", offsetof(Match, places), sizeof(Py_ssize_t), Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    match_slots,
};

/* A pattern, of which nothing is made before it is used: its source, its flags as Python has them and as PCRE2 has them; what writes
   it, what numbers it, and what makes it in Python, each of its source and flags. */
static PyObject *patterns_compile(PyObject *module, PyObject *given) {
    PyObject *source, *write, *count, *slow;
    unsigned int flags, options;
    if (!PyArg_ParseTuple(given, "UIIOOO", &source, &flags, &options, &write, &count, &slow)) return NULL;
    Pattern *pattern = PyObject_New(Pattern, PatternType);
    if (!pattern) return NULL;
    memset((char *)pattern + sizeof(PyObject), 0, sizeof(Pattern) - sizeof(PyObject));
    pattern->source = Py_NewRef(source);
    pattern->write = Py_NewRef(write);
    pattern->count = Py_NewRef(count);
    pattern->slow = Py_NewRef(slow);
    pattern->groupindex = PyDict_New();
    pattern->flags = flags;
    pattern->options = options;
    pattern->number = UNASKED;
    return (PyObject *)pattern;
}

static PyMethodDef functions[] = {
    {"compile", patterns_compile, METH_VARARGS, NULL}, {"maker", patterns_maker, METH_VARARGS, NULL},
    {"reader", patterns_reader, METH_VARARGS, NULL},   {"namer", patterns_namer, METH_VARARGS, NULL},
    {"sieve", patterns_sieve, METH_VARARGS, NULL},     {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_patterns", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__patterns(void) {
    if (!open_pcre2()) {
        PyErr_SetString(PyExc_ImportError, "PCRE2 is not installed, or without its just-in-time compiler");
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
    PatternType = (PyTypeObject *)PyType_FromSpec(&pattern_spec);
    MatchType = (PyTypeObject *)PyType_FromSpec(&match_spec);
    TableType = (PyTypeObject *)PyType_FromSpec(&table_spec);
    MakerType = (PyTypeObject *)PyType_FromSpec(&maker_spec);
    ReaderType = (PyTypeObject *)PyType_FromSpec(&reader_spec);
    NamerType = (PyTypeObject *)PyType_FromSpec(&namer_spec);
    if (!module || !PatternType || !MatchType || !TableType || !MakerType || !ReaderType || !NamerType) return NULL;
    return PyModule_AddStringConstant(module, "SOURCE", NATIVE_SOURCE) < 0 ? NULL : module;
}
