"""Who works for the agency: accounts, their roles in areas, how they sign in."""
