"""Does the subject compute its actions by search, or were they settled beforehand (control)?"""
