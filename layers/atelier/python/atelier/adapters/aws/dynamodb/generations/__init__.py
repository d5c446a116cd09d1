"""The generations table.

    pk wsp_…  sk gen_…                     a generation: state, attempts, delivered files; also the stages of a run
    pk wsp_…  sk request#gen_…             its recipe, if it is too large to be rewritten with each change of state
    pk wsp_…  sk quote#quo_…               a redeemed quote, with the generation that redeemed it
    pk wsp_…  sk reuse#<digest>            the generation whose result is reused for identical requests
    pk wsp_…  sk callback#gen_…#att_…      the task token to resume the execution of a waiting attempt

DynamoDB bills an update by the size of the whole item, so a long prompt is stored apart from the state that changes.
"""
