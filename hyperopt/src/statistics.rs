//! The normal distribution and the moments of a sample.

/// Mean, deviation and shape of a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Moments {
    /// Number of values.
    pub count: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (n - 1).
    pub deviation: f64,
    /// Skewness, `m3 / m2^1.5`; 0 when the values do not differ.
    pub skewness: f64,
    /// Kurtosis, `m4 / m2^2`, 3 for normal values and when the values do not differ.
    pub kurtosis: f64,
}

impl Moments {
    /// The moments of a sample.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sample sizes are far below 2^53")]
        let count = values.len() as f64;
        if values.is_empty() {
            return Self { kurtosis: 3.0, ..Self::default() };
        }
        let mean = values.iter().sum::<f64>() / count;
        let central =
            |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / count;
        let variance = central(2);
        let deviation = if count > 1.0 { (variance * count / (count - 1.0)).sqrt() } else { 0.0 };
        let (skewness, kurtosis) = if variance > 0.0 {
            (central(3) / variance.powf(1.5), central(4) / (variance * variance))
        } else {
            (0.0, 3.0)
        };
        Self { count, mean, deviation, skewness, kurtosis }
    }

    /// Mean over deviation; 0 when the values do not differ.
    #[must_use]
    pub fn sharpe(&self) -> f64 {
        if self.deviation > 0.0 { self.mean / self.deviation } else { 0.0 }
    }
}

/// Probability that a standard normal variable is at most `x`, to about 1e-15.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * complementary_error(-x / std::f64::consts::SQRT_2)
}

/// `erfc(x)`. Source: W. J. Cody, "Rational Chebyshev approximations for the error function",
/// Math. Comp. 23 (1969).
fn complementary_error(x: f64) -> f64 {
    let y = x.abs();
    if y <= 0.468_75 {
        let z = y * y;
        let top = A.iter().fold(A4 * z, |sum, a| (sum + a) * z);
        let bottom = B.iter().fold(z, |sum, b| (sum + b) * z);
        return 1.0 - x * (top + A_LAST) / (bottom + B_LAST);
    }
    let tail = if y <= 4.0 {
        let top = C.iter().fold(C8 * y, |sum, c| (sum + c) * y);
        let bottom = D.iter().fold(y, |sum, d| (sum + d) * y);
        exp_minus_square(y) * (top + C_LAST) / (bottom + D_LAST)
    } else {
        let z = 1.0 / (y * y);
        let top = P.iter().fold(P5 * z, |sum, p| (sum + p) * z);
        let bottom = Q.iter().fold(z, |sum, q| (sum + q) * z);
        let ratio = z * (top + P_LAST) / (bottom + Q_LAST);
        exp_minus_square(y) * (FRAC_1_SQRT_PI - ratio) / y
    };
    if x < 0.0 { 2.0 - tail } else { tail }
}

/// `exp(-y*y)` without losing the low digits of the square.
fn exp_minus_square(y: f64) -> f64 {
    let high = (y * 16.0).trunc() / 16.0;
    (-high * high).exp() * (-(y - high) * (y + high)).exp()
}

const FRAC_1_SQRT_PI: f64 = 0.564_189_583_547_756_3;
const A4: f64 = 1.857_777_061_846_031_5e-1;
const A: [f64; 3] = [3.161_123_743_870_565_6, 1.138_641_541_510_501_6e2, 3.774_852_376_853_02e2];
const A_LAST: f64 = 3.209_377_589_138_469_5e3;
const B: [f64; 3] =
    [2.360_129_095_234_412_2e1, 2.440_246_379_344_441_7e2, 1.282_616_526_077_372_3e3];
const B_LAST: f64 = 2.844_236_833_439_171e3;
const C8: f64 = 2.153_115_354_744_038_3e-8;
const C: [f64; 7] = [
    5.641_884_969_886_701e-1,
    8.883_149_794_388_375,
    6.611_919_063_714_163e1,
    2.986_351_381_974_001e2,
    8.819_522_212_417_69e2,
    1.712_047_612_634_070_7e3,
    2.051_078_377_826_071_6e3,
];
const C_LAST: f64 = 1.230_339_354_797_997_2e3;
const D: [f64; 7] = [
    1.574_492_611_070_983_3e1,
    1.176_939_508_913_125e2,
    5.371_811_018_620_099e2,
    1.621_389_574_566_690_3e3,
    3.290_799_235_733_459_7e3,
    4.362_619_090_143_247e3,
    3.439_367_674_143_721_6e3,
];
const D_LAST: f64 = 1.230_339_354_803_749_5e3;
const P5: f64 = 1.631_538_713_730_209_8e-2;
const P: [f64; 4] = [
    3.053_266_349_612_323_6e-1,
    3.603_448_999_498_044_5e-1,
    1.257_817_261_112_292_6e-1,
    1.608_378_514_874_227_5e-2,
];
const P_LAST: f64 = 6.587_491_615_298_378e-4;
const Q: [f64; 4] = [
    2.568_520_192_289_822,
    1.872_952_849_923_460_4,
    5.279_051_029_514_285e-1,
    6.051_834_131_244_132e-2,
];
const Q_LAST: f64 = 2.335_204_976_268_691_8e-3;

/// The value that a standard normal variable stays below with probability `p`, 0 < p < 1, to about
/// 1e-15: a rational start value and two Newton-Halley steps on [`normal_cdf`].
///
/// Start value: P. J. Acklam's rational approximation (relative error below 1.2e-9).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    // The lower half keeps all digits of small probabilities.
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let mut x = if p < 0.024_25 {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&TAIL_TOP, q) / (polynomial(&TAIL_BOTTOM, q) * q + 1.0)
    } else {
        let q = p - 0.5;
        let r = q * q;
        polynomial(&MIDDLE_TOP, r) * q / (polynomial(&MIDDLE_BOTTOM, r) * r + 1.0)
    };
    for _ in 0..2 {
        let error = normal_cdf(x) - p;
        let slope = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if slope > 0.0 {
            let step = error / slope;
            x -= step / (1.0 + 0.5 * x * step);
        }
    }
    x
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, c| sum * x + c)
}

const MIDDLE_TOP: [f64; 6] = [
    -3.969_683_028_665_376e1,
    2.209_460_984_245_205e2,
    -2.759_285_104_469_687e2,
    1.383_577_518_672_69e2,
    -3.066_479_806_614_716e1,
    2.506_628_277_459_239,
];
const MIDDLE_BOTTOM: [f64; 5] = [
    -5.447_609_879_822_406e1,
    1.615_858_368_580_409e2,
    -1.556_989_798_598_866e2,
    6.680_131_188_771_972e1,
    -1.328_068_155_288_572e1,
];
const TAIL_TOP: [f64; 6] = [
    -7.784_894_002_430_293e-3,
    -3.223_964_580_411_365e-1,
    -2.400_758_277_161_838,
    -2.549_732_539_343_734,
    4.374_664_141_464_968,
    2.938_163_982_698_783,
];
const TAIL_BOTTOM: [f64; 4] = [
    7.784_695_709_041_462e-3,
    3.224_671_290_700_398e-1,
    2.445_134_137_142_996,
    3.754_408_661_907_416,
];

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exactly these values are meant")]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        // scipy.stats.norm.cdf
        for (x, p) in [
            (0.0, 0.5),
            (0.3, 0.617_911_422_188_952_6),
            (1.0, 0.841_344_746_068_542_9),
            (1.96, 0.975_002_104_851_779_5),
            (-3.0, 0.001_349_898_031_630_094_5),
            (-7.0, 1.279_812_543_885_835e-12),
        ] {
            assert!((normal_cdf(x) - p).abs() <= 1e-13 * p, "{x}: {}", normal_cdf(x));
            assert!((normal_quantile(p) - x).abs() < 1e-12, "{p}: {}", normal_quantile(p));
        }
        assert!((normal_quantile(0.99) - 2.326_347_874_040_841).abs() < 1e-14);
    }

    #[test]
    fn moments_are_those_of_the_population() {
        let moments = Moments::of(&[1.0, 2.0, 3.0, 10.0]);
        assert_eq!(moments.mean, 4.0);
        assert!((moments.deviation - 4.082_482_904_638_63).abs() < 1e-12);
        // scipy.stats.skew and kurtosis(fisher=False)
        assert!((moments.skewness - 1.018_233_764_908_628_8).abs() < 1e-12);
        assert!((moments.kurtosis - 2.2304).abs() < 1e-12);
        assert_eq!(Moments::of(&[5.0, 5.0]).sharpe(), 0.0);
    }
}
