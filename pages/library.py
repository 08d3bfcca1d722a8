"""Library: what is in the workspace; add, import and evaluate what is not, and delete what is no longer needed."""

from muscle_core.ui.frame import enter

enter("library")

from muscle_core.ui.frame import errors_shown, workspace
from muscle_core.ui.library import contents

with errors_shown():
    contents.show(workspace())
