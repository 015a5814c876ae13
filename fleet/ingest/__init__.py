"""Takes in what terminals send: verified, admitted, committed, and only then receipted."""
