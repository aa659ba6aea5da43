"""Moving a stack to another region: what is asked beforehand."""
