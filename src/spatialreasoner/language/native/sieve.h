/* Which patterns may match in a text, told in one pass over it: each of them has words (`atoms.json`) of which every text of ASCII
   in which it matches holds one. A word is looked for by four of its characters in a row that texts rarely hold, behind a tab where
   it has more, and compared where they are found.

   A character is one of 64 kinds: upper and lower case are one, as are all digits, and all blanks but " ". */

enum {
    NOTHING, LETTER, DIGIT = LETTER + 26, BLANK, LINE, UNDERSCORE, MARK, OTHER = 63, KIND_BITS = 6, KINDS = 1 << KIND_BITS,
    GRAM = 4, GRAM_BITS = 16, GRAMS = 1 << GRAM_BITS, PAIRS = 1 << 2 * KIND_BITS, HEADS = 1 << 13, LONGEST_ATOM = 12,
    MOST_USES = (1 << 13) - 1, MOST_ATOMS = MOST_USES + 1, MOST_PATTERNS = 512, REMEMBERED_TEXTS = 8, EDGE_BEFORE = 1,
    EDGE_BEHIND = 2
};

typedef struct {
    uint8_t kinds[LONGEST_ATOM], size, edges, at, gram; /* of its characters; where those begin by which it is found, and how many */
    uint32_t key;
    uint16_t next, uses; /* another one with a key of the same head; the first of its uses */
} Atom;

static struct {
    uint8_t kind_of[256], pairs[PAIRS]; /* of which sizes shorter atoms end with a pair, as bits */
    uint32_t grams[GRAMS / 32], texts;  /* whether an atom is found by a gram, as bits; how many texts were sieved */
    int patterns, atom_count, use_count; /* the last two are counted from 1 */
    uint16_t heads[HEADS];              /* the first atom */
    Atom atoms[MOST_ATOMS];
    uint32_t met[MOST_ATOMS]; /* the number of the last text that held it */
    struct { uint16_t pattern, next; } uses[MOST_USES + 1];
} sieve;

/* Of the last texts, which patterns may match in them. */
static struct {
    PyObject *text;
    uint64_t may[MOST_PATTERNS / 64];
} sieved[REMEMBERED_TEXTS];
static int sieved_last;

static int in_word(uint8_t kind) { return (kind >= LETTER && kind <= DIGIT) || kind == UNDERSCORE; }

static void know_kinds(void) {
    int mark = MARK;
    for (int i = 0; i < 256; i++) {
        int letter = i | 32, blank = (i >= 9 && i <= 13) || (i >= 28 && i <= 31);
        sieve.kind_of[i] = letter >= 'a' && letter <= 'z' && i < 128 ? LETTER + letter - 'a'
                           : i >= '0' && i <= '9' ? DIGIT : i == ' ' ? BLANK : blank ? LINE : i == '_' ? UNDERSCORE
                           : i > 32 && i < 127 ? mark++ : OTHER;
    }
}

/* One of the places for so many characters, of six bits each. */
static uint32_t place_of_key(uint32_t key) { return key * 2654435761u >> (32 - GRAM_BITS); }
static uint16_t *head_of(uint32_t key) { return sieve.heads + (place_of_key(key) & (HEADS - 1)); }
static int has_bit(const uint32_t *bits, uint32_t at) { return bits[at >> 5] >> (at & 31) & 1; }
static void set_bit(uint32_t *bits, uint32_t at) { bits[at >> 5] |= 1u << (at & 31); }
static uint32_t key_of(const uint8_t *kinds, int size) {
    uint32_t key = 0;
    for (int i = 0; i < size; i++) key = key << KIND_BITS | kinds[i];
    return key;
}

/* Let a pattern use a word, which the sieve may know; 0 where there is no room for it. */
static int add_word(int pattern, const char *word, Py_ssize_t size) {
    Atom atom = {.edges = 0};
    if (size && word[0] == '\b') atom.edges |= EDGE_BEFORE, word++, size--;
    if (size && word[size - 1] == '\b') atom.edges |= EDGE_BEHIND, size--;
    if (sieve.use_count == MOST_USES) return 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        if (word[i] == '\t') atom.at = atom.size;
        else if (atom.size == LONGEST_ATOM) return 0;
        else atom.kinds[atom.size++] = sieve.kind_of[(uint8_t)word[i]];
    }
    atom.gram = atom.size < GRAM ? atom.size : GRAM;
    if (!atom.size || atom.at + atom.gram > atom.size) return 0;
    atom.key = key_of(atom.kinds + atom.at, atom.gram);
    uint16_t *head = head_of(atom.key), number = *head;
    for (; number; number = sieve.atoms[number].next) {
        const Atom *other = sieve.atoms + number;
        if (other->size == atom.size && other->edges == atom.edges && !memcmp(other->kinds, atom.kinds, atom.size)) break;
    }
    if (!number) {
        number = ++sieve.atom_count;
        atom.next = *head;
        *head = number;
        sieve.atoms[number] = atom;
        if (atom.gram == GRAM) set_bit(sieve.grams, place_of_key(atom.key));
        for (int before = 0; atom.gram == 1 && before < KINDS; before++) sieve.pairs[before << KIND_BITS | atom.key] |= 1 << 1;
        if (atom.gram == 2 || atom.gram == 3) sieve.pairs[atom.key & (PAIRS - 1)] |= 1 << atom.gram;
    }
    sieve.uses[++sieve.use_count].pattern = pattern;
    sieve.uses[sieve.use_count].next = sieve.atoms[number].uses;
    sieve.atoms[number].uses = sieve.use_count;
    return 1;
}

/* Whether a text holds an atom of which the gram ends at a place. */
static int is_at(const Atom *atom, const uint8_t *text, Py_ssize_t size, Py_ssize_t last) {
    Py_ssize_t begin = last + 1 - atom->gram - atom->at, end = begin + atom->size;
    if (begin < 0 || end > size) return 0;
    for (int i = 0; i < atom->size; i++)
        if (sieve.kind_of[text[begin + i]] != atom->kinds[i]) return 0;
    int before = begin > 0 && in_word(sieve.kind_of[text[begin - 1]]), behind = end < size && in_word(sieve.kind_of[text[end]]);
    if (atom->edges & EDGE_BEFORE && before == in_word(atom->kinds[0])) return 0;
    return !(atom->edges & EDGE_BEHIND) || behind != in_word(atom->kinds[atom->size - 1]);
}

/* Mark the patterns of all atoms of a gram that ends at a place. */
static void meet(uint32_t key, int gram, const uint8_t *text, Py_ssize_t size, Py_ssize_t last, uint64_t *may) {
    for (int number = *head_of(key); number; number = sieve.atoms[number].next) {
        const Atom *atom = sieve.atoms + number;
        if (atom->key != key || atom->gram != gram || sieve.met[number] == sieve.texts || !is_at(atom, text, size, last)) continue;
        sieve.met[number] = sieve.texts;
        for (int use = atom->uses; use; use = sieve.uses[use].next)
            may[sieve.uses[use].pattern >> 6] |= 1ull << (sieve.uses[use].pattern & 63);
    }
}

/* The set of the patterns that may match in a text of ASCII, where it is known. */
static const uint64_t *remembered(PyObject *string) {
    for (int i = 0; i < REMEMBERED_TEXTS; i++)
        if (sieved[i].text == string) return sieved[i].may;
    return NULL;
}

/* Find that set. */
static const uint64_t *sift(PyObject *string, const uint8_t *text, Py_ssize_t size) {
    sieved_last = (sieved_last + 1) % REMEMBERED_TEXTS;
    PyObject *before = sieved[sieved_last].text;
    uint64_t *may = sieved[sieved_last].may;
    sieved[sieved_last].text = Py_NewRef(string);
    Py_XDECREF(before); /* a text, of which nothing else hears */
    memset(may, 0, sizeof sieved->may);
    sieve.texts++;
    uint32_t gram = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        gram = (gram << KIND_BITS | sieve.kind_of[text[i]]) & ((1 << GRAM * KIND_BITS) - 1);
        int shorter = sieve.pairs[gram & (PAIRS - 1)];
        if (has_bit(sieve.grams, place_of_key(gram))) meet(gram, GRAM, text, size, i, may);
        for (int few = 1; shorter && few < GRAM; few++)
            if (shorter >> few & 1) meet(gram & ((1 << few * KIND_BITS) - 1), few, text, size, i, may);
    }
    return may;
}

/* Take the words of each pattern, which has its place in the list as its number. */
static PyObject *patterns_sieve(PyObject *module, PyObject *given) {
    PyObject *words;
    if (!PyArg_ParseTuple(given, "O!", &PyList_Type, &words)) return NULL;
    if (sieve.kind_of['a']) memset(&sieve, 0, sizeof sieve); /* else its memory was not touched yet */
    for (int i = 0; i < REMEMBERED_TEXTS; i++) Py_CLEAR(sieved[i].text);
    know_kinds();
    sieve.patterns = PyList_Size(words);
    int fits = sieve.patterns <= MOST_PATTERNS;
    for (int pattern = 0; fits && pattern < sieve.patterns; pattern++) {
        PyObject *own = PyList_GetItem(words, pattern);
        for (Py_ssize_t i = 0; fits && PyList_Check(own) && i < PyList_Size(own); i++) {
            Py_ssize_t size;
            const char *word = PyUnicode_AsUTF8AndSize(PyList_GetItem(own, i), &size);
            if (!word) return NULL;
            fits = add_word(pattern, word, size);
        }
    }
    if (fits) return Py_NewRef(Py_None);
    PyErr_SetString(PyExc_ValueError, "expected lists of short words, and no more of both than the sieve holds");
    return NULL;
}
