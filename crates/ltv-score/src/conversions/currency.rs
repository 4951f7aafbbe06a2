//! Currencies by ISO 4217, and the digits of their smallest coin.

use ltv_core::Error;

/// Codes of ISO 4217 that are in use as money; funds, metals and codes for tests are left out.
const CODES: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN \
BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ \
GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL \
LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN \
PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD \
TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// Those without a coin below the unit.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
/// Those with a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// A currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Currency {
    pub(super) code: &'static str,
    /// Digits after the point.
    pub(super) digits: usize,
}

impl Currency {
    pub(super) fn of(code: &str) -> Option<Self> {
        let code = CODES.split(' ').find(|known| *known == code)?;
        let among = |codes: &str| codes.split(' ').any(|known| known == code);
        let digits = match () {
            () if among(WHOLE) => 0,
            () if among(THOUSANDTHS) => 3,
            () => 2,
        };
        Some(Self { code, digits })
    }

    /// As [`Currency::of`], of the option.
    pub(super) fn parse(code: &str) -> Result<Self, Error> {
        let wrong = || {
            let problem = format!(
                "'{code}' is no currency of ISO 4217; give its three capital letters, such as EUR"
            );
            Error::config("currency", problem)
        };
        Self::of(code).ok_or_else(wrong)
    }

    /// As amounts of it are written.
    pub(super) fn text(self, value: f64) -> String {
        format!("{value:.*}", self.digits)
    }

    /// The nearest amount that can be written.
    pub(super) fn round(self, value: f64) -> f64 {
        self.text(value).parse().unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn codes_are_three_capitals_each_once_in_order() {
        for codes in [CODES, WHOLE, THOUSANDTHS] {
            let codes: Vec<&str> = codes.split(' ').collect();
            assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
            for code in codes {
                assert!(code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()));
                assert!(Currency::of(code).is_some(), "{code}");
            }
        }
    }

    #[test]
    fn amounts_have_the_digits_of_the_coin() {
        let text = |code, value| Currency::of(code).unwrap().text(value);
        assert_eq!(text("EUR", 12.345_678), "12.35");
        assert_eq!(text("JPY", 1234.5), "1234");
        assert_eq!(text("JPY", 1235.5), "1236");
        assert_eq!(text("KWD", 0.000_49), "0.000");
        assert_eq!(Currency::of("EUR").unwrap().round(0.1 + 0.2), 0.3);
        for wrong in ["", "eur", "EURO", "XXX", "E R", "EUR USD", "AED AFN"] {
            let error = Currency::parse(wrong).unwrap_err().to_string();
            assert!(error.starts_with("currency: "), "{error}");
        }
    }
}
