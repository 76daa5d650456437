/*
 * base64url.c
 *		Base64url without padding.
 *
 * The decoders of PostgreSQL and OpenSSL skip white space or accept padding.  A token
 * must have one spelling only: caches and lists of revoked tokens compare them.
 */
#include "postgres.h"

#include "tokens/base64url.h"

/* The value of each character, plus one; 0 for those that are not in the alphabet */
static const uint8 values[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
	['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
	['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
	['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
	['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

/*
 * Decode four characters to 24 bits.  Return false for a character that is not in the
 * alphabet.
 */
static inline bool
decode_group(const unsigned char *text, uint32 *bits)
{
	uint32 a = (uint32) values[text[0]] - 1;
	uint32 b = (uint32) values[text[1]] - 1;
	uint32 c = (uint32) values[text[2]] - 1;
	uint32 d = (uint32) values[text[3]] - 1;

	*bits = a << 18 | b << 12 | c << 6 | d;
	return (a | b | c | d) < 64;
}

int
base64url_decode(const char *text, size_t length, unsigned char *bytes)
{
	const unsigned char *c = (const unsigned char *) text;
	unsigned char       *end = bytes;
	unsigned char        last[] = "AAAA"; /* which encode zeros */
	size_t               rest = length % 4;
	uint32               bits;

	for (size_t i = 0; i < length / 4; i++, c += 4)
	{
		if (!decode_group(c, &bits))
			return -1;
		*end++ = (unsigned char) (bits >> 16);
		*end++ = (unsigned char) (bits >> 8);
		*end++ = (unsigned char) bits;
	}
	if (rest == 0)
		return (int) (end - bytes);

	/* A single character encodes no byte; two encode one, and three encode two. */
	memcpy(last, c, rest);
	if (rest == 1 || !decode_group(last, &bits))
		return -1;
	*end++ = (unsigned char) (bits >> 16);
	if (rest == 3)
		*end++ = (unsigned char) (bits >> 8);
	return (bits & (rest == 3 ? 0xff : 0xffff)) == 0 ? (int) (end - bytes) : -1;
}
