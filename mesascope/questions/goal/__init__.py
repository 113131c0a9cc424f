"""Does the subject pursue the intended goal, or a proxy of it?"""
