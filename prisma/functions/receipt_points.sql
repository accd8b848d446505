-- Digits behind the point of a currency (ISO 4217), where they are not two.
CREATE OR REPLACE FUNCTION minor_digits(p_currency text)
RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN p_currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF',
      'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
    WHEN p_currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
    WHEN p_currency IN ('CLF', 'UYW') THEN 4
    ELSE 2 END
$$;

-- The points of a purchase before the daily cap: nothing under the minimum, else rounded down once.
-- `p_amount` in minor units, the multiplier in basis points; exact decimals throughout. The cast to
-- twelve digits refuses (22003) what no purchase is worth, before a sum of such could overflow.
CREATE OR REPLACE FUNCTION receipt_points(p_program programs, p_amount bigint, p_multiplier int)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_amount < p_program.min_amount THEN 0
    ELSE floor(p_amount * p_program.base_rate * p_multiplier
      / (10::numeric ^ minor_digits(p_program.currency) * 10000))::numeric(12)::bigint END
$$;
