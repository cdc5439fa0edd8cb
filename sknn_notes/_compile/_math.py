"""Elementary functions for compiled loops, in a form that LLVM vectorizes.

Numba calls the C library for every number, and a loop with such calls is not
vectorized. These functions have no calls and no branches. Only compiled code can call
them: each call is replaced by a few dozen instructions. Compile a function around one
with ``forceinline=True``, since LLVM may find it too long to inline, and calls it then.

Arguments and results are float32 or float64. NaN stays NaN, infinities give the limits,
and results below the smallest normal number are subnormal, then zero. The errors are in
units in the last place (ulp), and hold for all arguments.
"""

from functools import partialmethod
from types import SimpleNamespace

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

# The polynomials in x, highest power first, have the values of these functions at the
# Chebyshev nodes of the interval. They were computed with 60 digits, then rounded.
#   exp    (exp(x) - 1 - x) / x^2          |x| <= log(2) / 2
#   log    (2 atanh(s) / s - 2) / x        x = s^2, 0 <= s <= 0.1716
#   log1p  the same                        x = s^2, 0 <= s <= 1 / 3
#   cos    cos(2 pi v)                     x = v^2, 0 <= v <= 1 / 4
#   sin    sin(2 pi v) / v                 x = v^2, 0 <= v <= 1 / 4
#   ndtr   (a + 4) exp(a^2 / 2) ndtr(-a)   x = (a - 4) / (a + 4), 0 <= a <= ndtr_end
# ln2_high + ln2_low is log(2). The first ends in zeros, so that its product with an
# exponent is exact. root_half is the bits of 0.5^0.5. The results are constant below a
# "low" and beyond an "end" or "high".
# fmt: off
FLOAT32 = SimpleNamespace(
    mantissa=23, bias=127, tiny=2.0**-126, eps=2.0**-23, root_half=0x3F3504F3,
    ln2_high=0.693359375, ln2_low=-0.00021219444005469057,
    exp_low=-105.0, exp_high=89.0, expm1_low=-20.0, tanh_end=10.0, ndtr_end=16.0,
    exp=(0.00019890991, 0.001393365, 0.0083333105, 0.041666467, 0.16666667, 0.5),
    log=(0.2957995, 0.3998878, 0.66666687),
    log1p=(0.2322433, 0.21706575, 0.28592357, 0.39999706, 0.6666667),
    cos=(-24.981434, 60.14389, -85.45357, 64.93935, -19.739208, 1.0),
    sin=(-14.393967, 42.00978, -76.70428, 81.605225, -41.3417, 6.2831855),
    ndtr=(
        -0.00013012231, 0.0001790494, 0.00156337, -0.003515919, -0.0075223865,
        0.060405478, -0.18652384, 0.3871367, -0.60789657, 0.75528514,
    ),
)
FLOAT64 = SimpleNamespace(
    mantissa=52, bias=1023, tiny=2.0**-1022, eps=2.0**-52, root_half=0x3FE6A09E667F3BCD,
    ln2_high=0.6931471803691238, ln2_low=1.9082149292705877e-10,
    exp_low=-746.0, exp_high=710.0, expm1_low=-40.0, tanh_end=22.0, ndtr_end=40.0,
    exp=(
        2.0914686968086876e-09, 2.5105217004720745e-08, 2.75572736431103e-07,
        2.7557255400206422e-06, 2.4801587325547743e-05, 0.00019841269874820627,
        0.0013888888888883748, 0.008333333333326136, 0.04166666666666667,
        0.1666666666666667, 0.5,
    ),
    log=(
        0.14616449685043406, 0.15331721600556042, 0.18182889125261723,
        0.2222221113479508, 0.28571428625975487, 0.39999999999899505, 0.666666666666667,
    ),
    log1p=(
        0.1616404561194353, 0.08800738486144674, 0.12001072809590713,
        0.13314144209654935, 0.15385570064958623, 0.18181789436132859,
        0.22222222717427864, 0.2857142856710876, 0.40000000000014585,
        0.6666666666666666,
    ),
    cos=(
        0.2719458494999813, -1.7132184107005932, 7.903462492085097, -26.426254066690255,
        60.24464131316041, -85.45681720598061, 64.93939402266395, -19.739208802178705,
        1.0,
    ),
    sin=(
        0.10089695501646812, -0.7177337921413454, 3.8199280942271643, -15.0946416761179,
        42.058693925428685, -76.70585975282492, 81.60524927607362, -41.341702240399755,
        6.283185307179586,
    ),
    ndtr=(
        -9.990624160023276e-10, -1.015295717649618e-11, 1.3976528155950821e-08,
        1.4842390072751344e-08, -7.634712843441086e-08, -1.546196819122192e-07,
        2.6354310560684456e-07, 1.0200713392568465e-06, -6.249906995369785e-07,
        -5.919013186154044e-06, 7.149308325478401e-07, 3.51442149682578e-05,
        -1.9078434059248706e-06, -0.00023109482414997105, 0.00013334424978358428,
        0.0016308184424805887, -0.0034796923618040597, -0.007540188965625017,
        0.06039657489067665, -0.1865218579596934, 0.38713740074221936,
        -0.6078966419718917, 0.7552851304157515,
    ),
)
# fmt: on
FORMATS = {types.float32: FLOAT32, types.float64: FLOAT64}

# A product and a sum may be rounded once. Numba gives the flags of the calling function
# to instructions without any, and "reassoc" would cancel what corrects rounding errors.
FLAGS = ("contract",)


class Bits:
    """An integer in LLVM code; operators append instructions to the code."""

    def __init__(self, builder, llvm):
        self.builder = builder
        self.llvm = llvm

    def constant(self, value):
        """Return a constant of this type."""
        return type(self)(self.builder, self.llvm.type(value))

    def _append(self, name, other, **options):
        if not isinstance(other, Bits):
            other = self.constant(other)
        instruction = getattr(self.builder, name)(self.llvm, other.llvm, **options)
        return type(self)(self.builder, instruction)

    __add__ = partialmethod(_append, "add")
    __sub__ = partialmethod(_append, "sub")
    __and__ = partialmethod(_append, "and_")
    __or__ = partialmethod(_append, "or_")
    __xor__ = partialmethod(_append, "xor")
    __lshift__ = partialmethod(_append, "shl")
    __rshift__ = partialmethod(_append, "lshr")

    def number(self):
        """Return the number with these bits."""
        kind = ir.FloatType() if self.llvm.type.width == 32 else ir.DoubleType()
        return Number(self.builder, self.builder.bitcast(self.llvm, kind))


class Number(Bits):
    """A float32 or float64 in LLVM code."""

    __add__ = partialmethod(Bits._append, "fadd", flags=FLAGS)
    __sub__ = partialmethod(Bits._append, "fsub", flags=FLAGS)
    __mul__ = partialmethod(Bits._append, "fmul", flags=FLAGS)
    __truediv__ = partialmethod(Bits._append, "fdiv", flags=FLAGS)

    def is_(self, operator, bound):
        """Compare with a constant; false for NaN."""
        bound = self.llvm.type(bound)
        return self.builder.fcmp_ordered(operator, self.llvm, bound, flags=FLAGS)

    def unless(self, condition, other):
        """Return this number, or another one where the condition holds."""
        other = other if isinstance(other, Number) else self.constant(other)
        chosen = self.builder.select(condition, other.llvm, self.llvm)
        return Number(self.builder, chosen)

    def at_least(self, bound):
        """Return the larger of this number and a constant; NaN stays NaN."""
        return self.unless(self.is_("<", bound), bound)

    def at_most(self, bound):
        """Return the smaller of this number and a constant; NaN stays NaN."""
        return self.unless(self.is_(">", bound), bound)

    def bits(self):
        """Return the bits of this number."""
        kind = ir.IntType(32 if isinstance(self.llvm.type, ir.FloatType) else 64)
        return Bits(self.builder, self.builder.bitcast(self.llvm, kind))

    def split_sign(self):
        """Return the absolute value, and bits of which only the sign's may be 1."""
        bits = self.bits()
        sign = bits & 1 << bits.llvm.type.width - 1
        return (bits ^ sign).number(), sign

    def polynomial(self, coefficients):
        """Return the value of a polynomial at this number, highest power first."""
        value = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            value = value * self + coefficient
        return value


def _reduced(x, f, rest=0.0):
    """Return q, and k as the lowest bits, where exp(x + rest) = (1 + q) 2^k."""
    shift = 1.5 * 2.0**f.mantissa  # So large that a sum with it is an integer.
    shifted = x * (1 / np.log(2)) + shift
    k = shifted - shift
    r = x - k * f.ln2_high - k * f.ln2_low + rest
    return r + r * r * r.polynomial(f.exp), shifted.bits()


def _exp(x, f, rest=0.0):
    """Return exp(x + rest), where x is within the limits and rest is small."""
    q, k = _reduced(x, f, rest)
    # 2^k may overflow or be subnormal, so multiply by two powers.
    biased = (k + 2 * f.bias) & (1 << f.mantissa - 1) - 1
    half = biased >> 1
    power = (half << f.mantissa).number()
    return (q * power + power) * (biased - half << f.mantissa).number()


def _exp_of_minus(a, f):
    """Return exp(-a) for a >= 0."""
    return _exp((a * -1.0).at_least(f.exp_low), f)


def _log(x, f, shift=0.0):
    """Return log(x) + shift * log(2) for a positive normal number."""
    bits = x.bits() + ((f.bias << f.mantissa) - f.root_half)
    # An integer as the lowest bits of 2^mantissa is added to it.
    exponent = (bits >> f.mantissa | f.bias + f.mantissa << f.mantissa).number()
    exponent = exponent - (2.0**f.mantissa + f.bias) + shift
    fraction = ((bits & (1 << f.mantissa) - 1) + f.root_half).number()
    rest = exponent * f.ln2_low
    return exponent * f.ln2_high + _log1p(fraction - 1.0, f.log, rest)


def _log1p(u, coefficients, rest=0.0):
    """Return log(1 + u) + rest as 2 atanh(s) + rest, where s = u / (2 + u)."""
    s = u / (u + 2.0)
    z = s * s
    return u - (s * (u - z * z.polynomial(coefficients)) - rest)


def inserted(build):
    """Make a function of one number whose instructions numba inserts at each call."""

    def typed(typing_context, x):
        if x not in FORMATS:
            raise TypingError(f"{build.__name__} takes float32 or float64, got {x}.")

        def insert(context, builder, signature, arguments):
            return build(Number(builder, arguments[0]), FORMATS[x]).llvm

        return x(x), insert

    typed.__name__, typed.__doc__ = build.__name__, build.__doc__
    return intrinsic(typed)


@inserted
def exp(x, f):
    """Return e^x, within 1 ulp."""
    return _exp(x.at_least(f.exp_low).at_most(f.exp_high), f)


@inserted
def expm1(x, f):
    """Return e^x - 1, within 2 ulp."""
    q, k = _reduced(x.at_least(f.expm1_low).at_most(f.exp_high), f)
    half = (k + (f.bias - 1) << f.mantissa).number()  # 2^k may overflow.
    y = q * half + (half - 0.5)
    a, _ = x.split_sign()
    return (y + y).unless(a.is_("<", f.eps / 4), x)


@inserted
def log(x, f):
    """Return the natural logarithm, within 1 ulp; NaN for negative numbers."""
    tiny = x.is_("<", f.tiny)
    shift = f.mantissa + 2
    scaled = x.unless(tiny, x * 2.0**shift)
    y = _log(scaled, f, x.constant(0.0).unless(tiny, -shift))
    y = x.constant(np.nan).unless(x.is_(">", 0.0), y)
    return y.unless(x.is_("==", 0.0), -np.inf).unless(x.is_("==", np.inf), x)


@inserted
def log1p(x, f):
    """Return log(1 + x), for x from 0 to 1 only, within 1.3 ulp."""
    return _log1p(x, f.log1p)


@inserted
def tanh(x, f):
    """Return the hyperbolic tangent, within 2.6 ulp."""
    a, sign = x.split_sign()
    a = a.at_most(f.tanh_end)
    q, k = _reduced(a + a, f)
    power = (k + f.bias << f.mantissa).number()
    large = a.is_(">", 0.6)  # There 1 - 2 / (e^2a + 1) is more accurate.
    y = (q * power + (power - 1.0)).unless(large, 2.0) / (q * power + (power + 1.0))
    y = y.unless(large, y.constant(1.0) - y)
    return (y.bits() | sign).number()


@inserted
def logistic(x, f):
    """Return 1 / (1 + e^-x), within 2.5 ulp."""
    a, _ = x.split_sign()
    e = _exp_of_minus(a, f)
    return e.constant(1.0).unless(x.is_("<", 0.0), e) / (e + 1.0)


@inserted
def softplus(x, f):
    """Return log(1 + e^x), within 2.1 ulp; finite for finite numbers."""
    a, _ = x.split_sign()
    e = _exp_of_minus(a, f)
    return x.at_least(0.0) + _log1p(e, f.log1p)


@inserted
def ndtr(x, f):
    """Return the distribution function of the standard normal, within 5 ulp."""
    a, _ = x.split_sign()
    a = a.at_most(f.ndtr_end)
    # The square of the upper half of a's bits is exact, so exp(-a^2 / 2) is accurate.
    low = (f.mantissa + 2) // 2
    upper = (a.bits() & -1 << low).number()
    rest = (upper - a) * (upper + a) * 0.5
    y = ((a - 4.0) / (a + 4.0)).polynomial(f.ndtr) / (a + 4.0)
    y = y * _exp(upper * upper * -0.5, f, rest)
    return y.unless(x.is_(">", 0.0), y.constant(1.0) - y)


@intrinsic
def cos_sin_turns(typing_context, u):
    """Return cos(2 pi u) and sin(2 pi u), within 1.5 eps.

    Whole turns are subtracted exactly. Infinities and NaN give NaN.
    """
    if u not in FORMATS:
        raise TypingError(f"cos_sin_turns takes float32 or float64, got {u}.")
    f = FORMATS[u]

    def insert(context, builder, signature, arguments):
        rint = builder.module.declare_intrinsic("llvm.rint", [arguments[0].type])

        def rounded(x):
            return Number(builder, builder.call(rint, [x.llvm]))

        x = Number(builder, arguments[0])
        rest = x - rounded(x)
        # Half a turn, forward or back, changes the sign of both.
        half = rounded(rest + rest)
        v = rest - half * 0.5
        sign = half * half * -2.0 + 1.0
        cos = (v * v).polynomial(f.cos) * sign
        sin = (v * v).polynomial(f.sin) * v * sign
        return context.make_tuple(builder, signature.return_type, [cos.llvm, sin.llvm])

    return types.UniTuple(u, 2)(u), insert


@intrinsic
def normal_pair(typing_context, word_1, word_2, std):
    """Return two independent normals of mean 0, from two random 32-bit words.

    ``std`` is their standard deviation and gives their type. In the plane [1]_, their
    angle is ``word_2 / 2^32`` turns, and their distance from 0 is ``(-2 log u)^0.5``
    standard deviations, at most 6.8, where ``u = (word_1 + 0.5) / 2^32`` is rounded to
    their type. The errors are below 3 eps of the distance.

    References
    ----------
    .. [1] G. E. P. Box and M. E. Muller, "A Note on the Generation of Random Normal
       Deviates", 1958.
    """
    if std not in FORMATS:
        raise TypingError(f"normal_pair takes std in float32 or float64, got {std}.")
    f = FORMATS[std]

    def insert(context, builder, signature, arguments):
        word_1, word_2, std = arguments
        kind = std.type

        u = Number(builder, builder.uitofp(word_1, kind))
        squared = _log((u + 0.5) * 2.0**-32, f) * -2.0
        root = builder.module.declare_intrinsic("llvm.sqrt", [kind])
        radius = Number(builder, builder.call(root, [squared.llvm]))
        radius = radius * Number(builder, std)

        # v is the angle in turns less a multiple of half a turn, -1/4 <= v < 1/4.
        word = Bits(builder, word_2)
        double = word << 1
        v = Number(builder, builder.sitofp(double.llvm, kind)) * 2.0**-33
        # Half a turn changes the sign of both.
        negative = builder.icmp_signed("<", (word ^ double).llvm, word.constant(0).llvm)
        radius = radius.unless(negative, radius * -1.0)
        cos = (v * v).polynomial(f.cos) * radius
        sin = (v * v).polynomial(f.sin) * v * radius
        return context.make_tuple(builder, signature.return_type, [cos.llvm, sin.llvm])

    words = types.uint32, types.uint32
    return types.UniTuple(std, 2)(*words, std), insert
