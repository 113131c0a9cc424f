"""Does the subject compute its actions by search, or were they determined beforehand (control)?"""
