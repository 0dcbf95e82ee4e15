"""An ADX that is none: SOAP calls in, a state and its configuration out, with the quirks of the box."""
